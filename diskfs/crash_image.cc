#include "diskfs/crash_image.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/random.h"

namespace scalefs::diskfs {

namespace {

constexpr std::byte kDiscardedByte{0xdd};
constexpr uint64_t kSectorsPerBlock = kBlockBytes / CrashImages::kSectorBytes;

// What block `block` of the event's range holds afterwards.
void content_of(const RecordedEvent& event, uint64_t block, std::byte* to) {
  switch (event.kind) {
    case RecordedEvent::Kind::write:
      std::memcpy(to, event.bytes.data() + block * kBlockBytes, kBlockBytes);
      break;
    case RecordedEvent::Kind::discard:
      std::memset(to, static_cast<int>(kDiscardedByte), kBlockBytes);
      break;
    case RecordedEvent::Kind::zeroes:
    case RecordedEvent::Kind::flush: std::memset(to, 0, kBlockBytes); break;
  }
}

}  // namespace

CrashImages::CrashImages(const MemoryDevice& start, const RecordingDevice& recording)
    : recording_(recording), durable_(start.clone()) {}

void CrashImages::apply(const RecordedEvent& event, uint64_t index, const KeepSector& keep,
                        MemoryDevice& to) {
  AlignedBuffer old(kBlockBytes);
  AlignedBuffer now(kBlockBytes);
  for (uint64_t block = 0; block < event.count; ++block) {
    BlockNo at(event.first.v + block);
    SCALEFS_CHECK(to.read(at, old.span()).ok());
    content_of(event, block, now.data());
    for (uint64_t s = 0; s < kSectorsPerBlock; ++s) {
      if (!keep(index, block * kSectorsPerBlock + s)) continue;
      std::memcpy(old.data() + s * kSectorBytes, now.data() + s * kSectorBytes, kSectorBytes);
    }
    SCALEFS_CHECK(to.write(at, old.span()).ok());
  }
}

void CrashImages::advance(uint64_t events) {
  SCALEFS_CHECK(events >= cut_);
  for (; cut_ < events; ++cut_) {
    RecordedEvent event = recording_.event(cut_);
    if (cut_ == lost_) continue;
    if (event.kind != RecordedEvent::Kind::flush) {
      undecided_.push_back(cut_);
      continue;
    }
    // A covered event may follow an uncovered one only in completion order; applying in that order
    // keeps the later of two writes to one block.
    auto end = std::lower_bound(undecided_.begin(), undecided_.end(), event.covers);
    for (auto it = undecided_.begin(); it != end; ++it) {
      apply(recording_.event(*it), *it, keep_all(), *durable_);
    }
    undecided_.erase(undecided_.begin(), end);
  }
}

std::unique_ptr<MemoryDevice> CrashImages::build(const KeepSector& keep) const {
  auto image = durable_->clone();
  for (uint64_t index : undecided_) apply(recording_.event(index), index, keep, *image);
  return image;
}

CrashImages::KeepSector CrashImages::keep_all() {
  return [](uint64_t, uint64_t) { return true; };
}

CrashImages::KeepSector CrashImages::keep_none() {
  return [](uint64_t, uint64_t) { return false; };
}

CrashImages::KeepSector CrashImages::keep_random(uint64_t seed) {
  return [seed](uint64_t event, uint64_t sector) {
    // A function of its arguments, so that an image can be built again from the seed alone.
    uint64_t fate = Random(seed ^ (event * 0x9e3779b97f4a7c15ull)).below(3);
    if (fate < 2) return fate == 0;
    return Random(seed + event * 1000003 + sector).below(2) == 0;
  };
}

}  // namespace scalefs::diskfs
