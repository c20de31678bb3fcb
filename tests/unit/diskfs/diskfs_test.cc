// DiskFs as a whole on a memory device: commits, checkpoints and mounts, with and without a crash
// between, against the reference model.
#include <fmt/format.h>

#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 1024;

// Mounts, commits and checkpoints at random; a mount after a crash must find every commit.
void random_mounts(uint64_t seed, bool checkpoints) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  MemoryDevice device(kBlocks);
  format_tiny(device, 32 + 16 * (seed % 3));
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  DiskHistory history(seed);
  history.adopt(*fs);
  for (int round = 0; round < 60; ++round) {
    const uint64_t choice = history.random.below(100);
    if (choice < 70) {
      const uint64_t before = fs->committed_seq();
      const auto sequence = history.step(*fs, history.random.between(1, 40));
      ASSERT_EQ(sequence.code(), 0);
      ASSERT_EQ(*sequence, before + 1);
    } else if (choice < 85) {
      if (!checkpoints) continue;
      ASSERT_EQ(fs->checkpoint().code(), 0);
      ASSERT_EQ(fs->checkpointed_seq(), fs->committed_seq());
      ASSERT_EQ(compare_state(*fs, history.newest()), "");
      ASSERT_EQ(check_volume(device), "");
    } else {
      const uint64_t committed = fs->committed_seq();
      const bool in_order = history.random.percent(30);
      if (in_order) {
        ASSERT_EQ(fs->unmount().code(), 0);
      }
      fs.reset();
      auto reader = mount_or_fail(device, true);
      ASSERT_TRUE(reader);
      ASSERT_EQ(compare_state(*reader, history.newest()), "") << "read-only";
      reader.reset();
      fs = mount_or_fail(device);
      ASSERT_TRUE(fs);
      ASSERT_EQ(fs->committed_seq(), committed);
      ASSERT_EQ(fs->checkpointed_seq(), committed);
      ASSERT_EQ(compare_state(*fs, history.newest()), "");
      ASSERT_EQ(check_volume(device), "");
    }
    history.forget_before(fs->checkpointed_seq());
  }
}

TEST(DiskFsTest, EveryCommitIsThereAfterAMount) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    random_mounts(seed, true);
    if (HasFailure()) return;
  }
}

TEST(DiskFsTest, AFullJournalRunsItsOwnCheckpoints) {
  for (uint64_t seed = 101; seed <= 106; ++seed) {
    random_mounts(seed, false);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace scalefs::diskfs
