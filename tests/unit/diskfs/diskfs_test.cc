// DiskFs as a whole on a memory device: commits, checkpoints and mounts, with and without a crash
// between, against the reference model.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/core.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 1024;

// Mounts, commits and checkpoints at random; a mount after a crash must find every commit.
void random_mounts(uint64_t seed, bool checkpoints) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  // Where checkpoints allocate, and with it how long the runs of the history are, depends on the core.
  set_thread_core(0);
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
  set_thread_core(-1);
}

TEST(DiskFsTest, EveryCommitIsThereAfterAMount) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(12); ++seed) {
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

TEST(DiskFsTest, APinKeepsWhatItReads) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(4); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    MemoryDevice device(2048);
    format_tiny(device, 64);
    auto fs = mount_or_fail(device);
    ASSERT_TRUE(fs);
    DiskHistory history(seed);
    history.adopt(*fs);
    std::vector<CheckpointPin> pins;
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ(history.step(*fs, history.random.between(1, 30)).code(), 0);
      if (!history.random.percent(40)) continue;
      ASSERT_EQ(fs->checkpoint().code(), 0);
      if (history.random.percent(30)) pins.push_back(fs->pin());
      if (pins.size() > 3) pins.erase(pins.begin());
      for (const CheckpointPin& pin : pins) {
        ASSERT_EQ(compare_state(*fs, pin, history.state(pin.covered_seq())), "");
      }
    }
    // Without pins everything that was freed comes back: after two calls nothing is held.
    pins.clear();
    for (int i = 0; i < 2; ++i) ASSERT_EQ(fs->checkpoint().code(), 0);
    const uint64_t free = fs->allocator().free_blocks();
    ASSERT_EQ(fs->checkpoint().code(), 0);
    ASSERT_EQ(fs->allocator().free_blocks(), free);
    fs.reset();
    fs = mount_or_fail(device);
    ASSERT_TRUE(fs);
    ASSERT_EQ(fs->allocator().free_blocks(), free);
  }
}

TEST(DiskFsTest, ACommitIsOneWriteAndOneFlush) {
  MemoryDevice memory(kBlocks);
  format_tiny(memory, 64);
  FaultDevice device(memory);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  DiskHistory history(5);
  history.adopt(*fs);
  uint64_t writes_at_the_end = 0;
  for (int i = 0; i < 30; ++i) {
    if (fs->journal_fill() > 0.5) {
      ASSERT_EQ(fs->checkpoint().code(), 0);
      ASSERT_EQ(fs->checkpoint().code(), 0);
    }
    Batch batch;
    ASSERT_TRUE(history.fill(*fs, 20, &batch).ok());
    const uint64_t writes = device.calls(FaultDevice::Call::write);
    const uint64_t flushes = device.calls(FaultDevice::Call::flush);
    ASSERT_EQ(history.commit(*fs, batch).code(), 0);
    const uint64_t written = device.calls(FaultDevice::Call::write) - writes;
    ASSERT_TRUE(written == 1 || written == 2) << written;
    writes_at_the_end += written - 1;
    ASSERT_EQ(device.calls(FaultDevice::Call::flush) - flushes, 1u);
  }
  EXPECT_LE(writes_at_the_end, 3u) << "only a batch across the end of the journal takes two";
  const uint64_t flushes = device.calls(FaultDevice::Call::flush);
  ASSERT_EQ(*fs->commit(Batch()), fs->committed_seq());
  EXPECT_EQ(device.calls(FaultDevice::Call::flush), flushes) << "an empty batch";
}

TEST(DiskFsTest, ACheckpointWithoutBatchesEndsUpDoingNothing) {
  MemoryDevice memory(kBlocks);
  format_tiny(memory, 64);
  FaultDevice device(memory);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  DiskHistory history(6);
  history.adopt(*fs);
  ASSERT_EQ(history.step(*fs, 20).code(), 0);
  EXPECT_GT(fs->journal_fill(), 0.0);
  ASSERT_EQ(fs->checkpoint().code(), 0);
  EXPECT_EQ(fs->journal_fill(), 0.0);
  ASSERT_EQ(fs->checkpoint().code(), 0);
  const uint64_t writes = device.calls(FaultDevice::Call::write);
  const uint64_t flushes = device.calls(FaultDevice::Call::flush);
  ASSERT_EQ(fs->checkpoint().code(), 0);
  EXPECT_EQ(device.calls(FaultDevice::Call::write), writes);
  EXPECT_EQ(device.calls(FaultDevice::Call::flush), flushes);
  ASSERT_EQ(fs->unmount().code(), 0);
  EXPECT_EQ(fs->commit(Batch()).code(), EROFS);
  EXPECT_EQ(fs->checkpoint().code(), EROFS);
  EXPECT_EQ(fs->unmount().code(), 0) << "idempotent";
}

TEST(DiskFsTest, AReadOnlyMountWritesNothing) {
  MemoryDevice memory(kBlocks);
  format_tiny(memory, 64);
  FaultDevice device(memory);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  DiskHistory history(7);
  history.adopt(*fs);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(history.step(*fs, 20).code(), 0);
  fs.reset();
  const uint64_t writes = device.calls(FaultDevice::Call::write);
  fs = mount_or_fail(device, true);
  ASSERT_TRUE(fs);
  EXPECT_EQ(compare_state(*fs, history.newest()), "");
  EXPECT_TRUE(fs->read_only());
  Batch batch;
  batch.put_orphan(Ino(1));
  EXPECT_EQ(fs->commit(batch).code(), EROFS);
  EXPECT_EQ(fs->allocate_ino().code(), EROFS);
  const std::vector<std::byte> block(kBlockBytes);
  EXPECT_EQ(fs->write_data(BlockNo(500), block).code(), EROFS);
  EXPECT_EQ(fs->checkpoint().code(), 0);
  EXPECT_EQ(fs->unmount().code(), 0);
  EXPECT_EQ(device.calls(FaultDevice::Call::write), writes);
}

TEST(DiskFsTest, NumbersOfDeletedInodesAreUsedAgainButNotTooEarly) {
  MemoryDevice device(kBlocks);
  format_tiny(device, 64);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  InodeItem item;
  item.mode = 0100644;
  uint64_t largest = 0;
  std::vector<Ino> live;
  for (int i = 0; i < 50; ++i) {
    Batch batch;
    std::set<uint64_t> deleted;
    for (const Ino ino : live) {
      batch.delete_inode(ino);
      deleted.insert(ino.v);
    }
    live.clear();
    for (uint64_t k = 0; k < 200; ++k) {
      const auto ino = fs->allocate_ino();
      ASSERT_EQ(ino.code(), 0);
      ASSERT_FALSE(deleted.contains(ino->v)) << "deleted in this very batch";
      item.mnode = MnodeNo(1000 + static_cast<uint64_t>(i) * 200 + k);
      batch.put_inode(*ino, item);
      live.push_back(*ino);
      largest = std::max(largest, ino->v);
    }
    ASSERT_EQ(fs->commit(batch).code(), 0);
    ASSERT_EQ(fs->checkpoint().code(), 0);
    std::set<uint64_t> once;
    for (const Ino ino : live) ASSERT_TRUE(once.insert(ino.v).second);
  }
  EXPECT_LE(largest, 401u) << "two generations of two hundred, and the root";
  EXPECT_EQ(check_volume(device), "");
}

}  // namespace
}  // namespace scalefs::diskfs
