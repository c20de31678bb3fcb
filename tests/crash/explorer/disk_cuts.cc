#include "tests/crash/explorer/disk_cuts.h"

#include <fmt/format.h>

#include <algorithm>

#include "diskfs/crash_image.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "diskfs/recording_device.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {

namespace {
constexpr uint64_t kBlocks = 768;
}  // namespace

// Which sequences may be found at which cut.
struct DiskCuts::Recorded {
  explicit Recorded(uint64_t seed) : history(seed), start(kBlocks), device(kBlocks) {}

  uint64_t acknowledged(uint64_t cut) const { return last_at(returned, cut); }
  uint64_t attempted(uint64_t cut) const { return last_at(begun, cut); }

  DiskHistory history;
  MemoryDevice start;   // before recording
  MemoryDevice device;
  std::unique_ptr<RecordingDevice> recording;
  // (events recorded when commit began or had returned, its sequence), in order.
  std::vector<std::pair<uint64_t, uint64_t>> begun{{0, 0}}, returned{{0, 0}};

 private:
  static uint64_t last_at(const std::vector<std::pair<uint64_t, uint64_t>>& list, uint64_t cut) {
    uint64_t sequence = 0;
    for (const auto& [events, number] : list) {
      if (events <= cut) sequence = number;
    }
    return sequence;
  }
};

DiskCuts::DiskCuts(uint64_t seed) : seed_(seed), recorded_(std::make_unique<Recorded>(seed)) {}
DiskCuts::~DiskCuts() = default;

bool DiskCuts::record(int steps, bool lose_flushes) {
  Recorded& r = *recorded_;
  format_tiny(r.start, 16 + 8 * (seed_ % 3));
  r.recording = std::make_unique<RecordingDevice>(r.device);
  // The device under test begins as a copy of `start`; copying must not be recorded.
  std::vector<std::byte> block(kBlockBytes);
  for (uint64_t i = 0; i < kBlocks; ++i) {
    EXPECT_TRUE(r.start.read(BlockNo(i), block).ok());
    EXPECT_TRUE(r.device.write(BlockNo(i), block).ok());
  }
  FaultDevice device(*r.recording);
  device.lose_flushes(lose_flushes);

  auto fs = mount_or_fail(device);
  if (!fs) return false;
  r.history.adopt(*fs);
  for (int i = 0; i < steps; ++i) {
    const uint64_t choice = r.history.random.below(100);
    if (choice < 75) {
      Batch batch;
      EXPECT_TRUE(r.history.fill(*fs, r.history.random.between(1, 15), &batch).ok());
      r.begun.emplace_back(r.recording->event_count(), fs->committed_seq() + 1);
      EXPECT_TRUE(r.history.commit(*fs, batch).ok());
      r.returned.emplace_back(r.recording->event_count(), fs->committed_seq());
    } else if (choice < 93) {
      EXPECT_TRUE(fs->checkpoint().ok());
    } else {
      if (r.history.random.percent(50)) {
        EXPECT_TRUE(fs->unmount().ok());
      }
      fs.reset();
      fs = mount_or_fail(device);
      if (!fs) return false;
    }
  }
  return true;
}

namespace {

// What must hold of an image: it mounts, with the state of an allowed sequence, and is consistent.
std::string check_image(const DiskCuts::Recorded& r, BlockDevice& image, uint64_t cut, uint64_t* found) {
  std::string why;
  auto fs = DiskFs::mount(image, {}, &why);
  if (!fs.ok()) return "mount: " + why;
  *found = (*fs)->committed_seq();
  if (*found < r.acknowledged(cut) || *found > r.attempted(cut)) {
    return fmt::format("batch {} is the last, allowed are {} to {}", *found, r.acknowledged(cut),
                       r.attempted(cut));
  }
  std::string fault = compare_state(**fs, r.history.state(*found));
  if (fault.empty()) fault = check_volume(image);
  return fault;
}

// The same image, cut again while it recovers: the outcome must not change.
std::string check_cut_recovery(const DiskCuts::Recorded& r, MemoryDevice& image, uint64_t cut,
                               uint64_t sequence, uint64_t seed) {
  const auto start = image.clone();
  RecordingDevice recording(image);
  std::string why;
  if (!DiskFs::mount(recording, {}, &why).ok()) return "mount: " + why;
  CrashImages images(*start, recording);
  for (uint64_t events = 0; events <= recording.event_count(); ++events) {
    images.advance(events);
    const auto again = images.build(CrashImages::keep_random(seed + events));
    uint64_t found = 0;
    std::string fault = check_image(r, *again, cut, &found);
    if (fault.empty() && found != sequence) fault = fmt::format("batch {}, not {}", found, sequence);
    if (!fault.empty()) return fmt::format("recovery cut after {} events: {}", events, fault);
  }
  return "";
}

// New batches behind the recovered ones, then a crash: nothing of the abandoned end may follow them.
std::string check_going_on(const DiskCuts::Recorded& r, MemoryDevice& image, uint64_t sequence,
                           uint64_t seed) {
  std::string why;
  auto fs = DiskFs::mount(image, {}, &why);
  if (!fs.ok()) return "mount: " + why;
  DiskHistory history = r.history;
  history.random = Random(seed);
  history.go_back(sequence);
  for (int i = 0; i < 3; ++i) {
    const auto done = history.step(**fs, history.random.between(1, 10));
    if (done.code() != 0) return fmt::format("commit after recovery: {}", done.code());
  }
  const uint64_t committed = (*fs)->committed_seq();
  fs->reset();
  fs = DiskFs::mount(image, {}, &why);
  if (!fs.ok()) return "mount: " + why;
  if ((*fs)->committed_seq() != committed) return "batches after recovery are lost";
  return compare_state(**fs, history.newest());
}

}  // namespace

std::string DiskCuts::check(int images_a_cut) {
  const Recorded& r = *recorded_;
  CrashImages images(r.start, *r.recording);
  Random random(seed_);
  for (uint64_t cut = 0; cut <= r.recording->event_count(); ++cut) {
    images.advance(cut);
    for (int i = 0; i < images_a_cut; ++i) {
      const uint64_t image_seed = random.next();
      const auto keep = i == 0   ? CrashImages::keep_all()
                        : i == 1 ? CrashImages::keep_none()
                                 : CrashImages::keep_random(image_seed);
      if (i > 0 && images.undecided().empty()) break;
      auto image = images.build(keep);
      ++states_;
      const auto untouched = random.percent(6) ? image->clone() : nullptr;
      uint64_t found = 0;
      std::string fault = check_image(r, *image, cut, &found);
      if (fault.empty() && untouched) {
        fault = check_cut_recovery(r, *untouched, cut, found, image_seed);
        if (fault.empty()) fault = check_going_on(r, *image, found, image_seed);
      }
      if (!fault.empty()) return fmt::format("seed {}, cut {}, image {}: {}", seed_, cut, i, fault);
    }
  }
  return "";
}

}  // namespace scalefs::diskfs
