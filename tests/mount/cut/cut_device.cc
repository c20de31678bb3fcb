#include "tests/mount/cut/cut_device.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/aligned_buffer.h"
#include "diskfs/device_range.h"

namespace scalefs::testing {

namespace {

constexpr size_t kSectorBytes = 512;
constexpr uint32_t kEarlyPercent = 20;  // of writes that are followed by one to the image

}  // namespace

Status CutDevice::read(BlockNo first, Bytes to) {
  SCALEFS_TRY_VOID(diskfs::check_range(block_count(), first, to.size()));
  // Held: a block leaves the cache only when the image has it.
  MutexLock lock(cache_mutex_);
  SCALEFS_TRY_VOID(inner_.read(first, to));
  const uint64_t end = first.v + to.size() / kBlockBytes;
  for (auto held = cache_.lower_bound(first.v); held != cache_.end() && held->first < end; ++held) {
    std::copy(held->second.bytes.begin(), held->second.bytes.end(),
              to.begin() + static_cast<ptrdiff_t>((held->first - first.v) * kBlockBytes));
  }
  return {};
}

Status CutDevice::write(BlockNo first, ConstBytes from) {
  SCALEFS_TRY_VOID(diskfs::check_range(block_count(), first, from.size()));
  bool early = false;
  {
    MutexLock lock(cache_mutex_);
    for (size_t at = 0; at < from.size(); at += kBlockBytes) {
      const ConstBytes block = from.subspan(at, kBlockBytes);
      cache_[first.v + at / kBlockBytes] = {++versions_, {block.begin(), block.end()}};
    }
    early = random_.percent(kEarlyPercent);
  }
  if (early) write_early();
  return {};
}

Status CutDevice::write_zeroes(BlockNo first, uint64_t count) {
  const std::vector<std::byte> zeros(count * kBlockBytes);
  return write(first, zeros);
}

void CutDevice::write_early() {
  if (!writing_mutex_.try_lock()) return;
  uint64_t block = 0;
  uint64_t sectors = 0;
  AlignedBuffer content(kBlockBytes), held(kBlockBytes);
  {
    MutexLock lock(cache_mutex_);
    if (!cache_.empty()) {
      const auto pick = std::next(cache_.begin(), static_cast<ptrdiff_t>(random_.below(cache_.size())));
      block = pick->first;
      std::memcpy(held.data(), pick->second.bytes.data(), kBlockBytes);
      sectors = random_.percent(50) ? UINT64_MAX : random_.next();
    }
  }
  if (sectors != 0 && inner_.read(BlockNo(block), content.span()).ok()) {
    for (size_t s = 0; s < kBlockBytes / kSectorBytes; ++s) {
      if ((sectors >> s & 1) == 0) continue;
      std::memcpy(content.data() + s * kSectorBytes, held.data() + s * kSectorBytes, kSectorBytes);
    }
    (void)inner_.write(BlockNo(block), content.span());  // the cache has it still
  }
  writing_mutex_.unlock();
}

Status CutDevice::flush() {
  if (options_.lose_flushes) return {};
  MutexLock writing(writing_mutex_);
  std::vector<std::pair<uint64_t, Held>> blocks;
  {
    MutexLock lock(cache_mutex_);
    blocks.assign(cache_.begin(), cache_.end());
    for (size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[random_.below(i)]);
  }
  for (const auto& [block, held] : blocks) {
    SCALEFS_TRY_VOID(inner_.write(BlockNo(block), held.bytes));
  }
  MutexLock lock(cache_mutex_);
  for (const auto& [block, held] : blocks) {
    const auto found = cache_.find(block);
    if (found != cache_.end() && found->second.version == held.version) cache_.erase(found);
  }
  return {};
}

}  // namespace scalefs::testing
