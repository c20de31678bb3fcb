// Random histories against the reference file system, with remounts: after each the whole tree is
// compared. Half of the seeds are fixed, half follow from the commit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/support/history.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

constexpr uint64_t kCalls = 10'000;
constexpr uint64_t kCallsSanitized = 1'000;

volume::VolumeOptions small_options() {
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 8u << 20;
  return options;
}

// Unmounts in order, or stops as a crash would after a sync; both must bring back the same tree.
bool remount(std::unique_ptr<volume::Volume>& volume, diskfs::BlockDevice& device, bool orderly,
             History& history) {
  if (orderly) {
    int error = volume->unmount().code();
    EXPECT_EQ(error, 0) << "unmount";
    if (error) return false;
  } else {
    if (!history.sync()) return false;
    volume->shutdown();
  }
  volume.reset();
  std::string why;
  auto mounted = volume::Volume::mount(device, small_options(), &why);
  EXPECT_TRUE(mounted.ok()) << why;
  if (!mounted.ok()) return false;
  volume = std::move(*mounted);
  history.remounted(*volume);
  return history.compare_all();
}

void run_steps(volume::Volume& volume, Random& random) {
  if (random.percent(3)) volume.step_commit();
  if (random.percent(1)) volume.step_checkpoint();
  if (random.percent(3)) volume.step_writeback();
  if (random.percent(3)) volume.step_maintenance();
}

void run_history(uint64_t seed, bool memory_only) {
  SCOPED_TRACE(fmt::format("reproduce: SCALEFS_SEED={} model_volume --gtest_filter='*{}'", seed,
                           memory_only ? "Memory*" : "Image*"));
  uint64_t calls = count_from("SCALEFS_MODEL_CALLS", kSanitized ? kCallsSanitized : kCalls);
  set_wall_for_test(1);  // before any time of the history
  std::unique_ptr<diskfs::MemoryDevice> device;
  std::unique_ptr<volume::Volume> volume;
  if (memory_only) {
    volume = volume::Volume::memory(small_options());
  } else {
    device = formatted_device(256u << 20);
    std::string why;
    auto mounted = volume::Volume::mount(*device, small_options(), &why);
    ASSERT_TRUE(mounted.ok()) << why;
    volume = std::move(*mounted);
  }
  HistoryOptions options;
  options.seed = seed;
  History history(options, *volume);
  Random random(seed ^ 0x5eed);
  uint64_t next_remount = 200 + random.below(2000);
  for (uint64_t i = 0; i < calls && history.step(); i++) {
    if (memory_only) {
      if (random.percent(2)) volume->step_maintenance();
      continue;
    }
    run_steps(*volume, random);
    if (i != next_remount) continue;
    next_remount = i + 200 + random.below(2000);
    if (!remount(volume, *device, random.percent(50), history)) return;
  }
  ASSERT_FALSE(history.failed());
  ASSERT_TRUE(history.compare_all());
  if (!memory_only) {
    ASSERT_TRUE(remount(volume, *device, true, history));
    ASSERT_EQ(volume->unmount().code(), 0);
    expect_clean(*device);
  }
}

class Image : public ::testing::TestWithParam<uint64_t> {};
class ImageOfCommit : public ::testing::TestWithParam<uint64_t> {};
class Memory : public ::testing::TestWithParam<uint64_t> {};

uint64_t seed_of(uint64_t otherwise) {
  uint64_t seed = otherwise;
  seed_given(&seed);
  return seed;
}

TEST_P(Image, History) { run_history(seed_of(GetParam()), false); }
TEST_P(ImageOfCommit, History) { run_history(seed_of(commit_seed(GetParam())), false); }
TEST_P(Memory, History) { run_history(seed_of(1000 + GetParam()), true); }

constexpr uint64_t kSeeds = kSanitized ? 5 : 25;
INSTANTIATE_TEST_SUITE_P(Fixed, Image, ::testing::Range<uint64_t>(0, kSeeds));
INSTANTIATE_TEST_SUITE_P(Commit, ImageOfCommit, ::testing::Range<uint64_t>(0, kSeeds));
INSTANTIATE_TEST_SUITE_P(Fixed, Memory, ::testing::Range<uint64_t>(0, kSeeds / 5));

}  // namespace
}  // namespace scalefs::testing
