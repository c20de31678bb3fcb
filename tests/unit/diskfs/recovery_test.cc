// What mounting makes of damaged journals, lost superblocks and lost data, case by case. Random power
// cuts are tests/crash's business.
#include <fmt/format.h>

#include <algorithm>

#include "diskfs/journal_reader.h"
#include "diskfs/memory_device.h"
#include "diskfs/recovery.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/disk_history.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 1024;
constexpr uint64_t kJournal = 64;

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() : device(kBlocks), history(1) {
    format_tiny(device, kJournal);
    fs = mount_or_fail(device);
    history.adopt(*fs);
  }

  // A commit of one extent; returns where its batch stands in the journal.
  uint64_t commit_extent(BlockNo* block = nullptr) {
    const uint64_t at = next_position();
    auto run = fs->allocator().allocate(0, 1);
    EXPECT_TRUE(run.ok());
    std::vector<std::byte> bytes(kBlockBytes, static_cast<std::byte>(run->first.v));
    EXPECT_TRUE(fs->write_data(run->first, bytes).ok());
    const uint32_t crc = crc32c(bytes.data(), bytes.size());
    Batch batch;
    batch.put_extent(kRootIno, run->first.v, run->first, std::span(&crc, 1));
    EXPECT_TRUE(fs->commit(batch).ok());
    if (block != nullptr) *block = run->first;
    return at;
  }
  Superblock newest() {
    std::string reason;
    auto sb = read_newest_superblock(device, &reason);
    EXPECT_TRUE(sb.ok()) << reason;
    return *sb;
  }
  uint64_t next_position() {
    const Superblock sb = newest();
    JournalReader reader(device, journal_area(sb), sb.mount_epoch, journal_start(sb));
    while (reader.next()->has_value()) {
    }
    return reader.point().position % kJournal;
  }
  void flip(uint64_t block, size_t offset) {
    std::vector<std::byte> bytes(kBlockBytes);
    ASSERT_TRUE(device.read(BlockNo(block), bytes).ok());
    bytes[offset] ^= std::byte{4};
    ASSERT_TRUE(device.write(BlockNo(block), bytes).ok());
  }
  void damage_batch(uint64_t position, size_t offset = kBatchHeaderBytes) {
    flip(newest().geometry.journal_first + position, offset);
  }
  void damage_newest_superblock() {
    const Superblock sb = newest();
    for (const uint64_t block : superblock_targets(sb.generation, kBlocks)) flip(block, 300);
  }
  // Mounts; the sequence found, or minus the error.
  int64_t mount(bool read_only = false) {
    fs.reset();
    MountOptions options;
    options.read_only = read_only;
    why.clear();
    auto mounted = DiskFs::mount(device, options, &why);
    if (!mounted.ok()) return -mounted.code();
    EXPECT_EQ(why, "");
    fs = std::move(*mounted);
    return static_cast<int64_t>(fs->committed_seq());
  }

  MemoryDevice device;
  DiskHistory history;
  std::unique_ptr<DiskFs> fs;
  std::string why;
};

TEST_F(RecoveryTest, TornLastBatchIsDropped) {
  commit_extent();
  const uint64_t last = commit_extent();
  damage_batch(last);
  EXPECT_EQ(mount(), 1);
}

TEST_F(RecoveryTest, LostHeaderOfTheLastBatchIsDropped) {
  commit_extent();
  const uint64_t last = commit_extent();
  damage_batch(last, 0);
  EXPECT_EQ(mount(), 1);
}

TEST_F(RecoveryTest, DamageThatALaterBatchKnewDurableIsRefused) {
  commit_extent();
  const uint64_t second = commit_extent();
  commit_extent();
  damage_batch(second);
  EXPECT_EQ(mount(), -EUCLEAN);
  EXPECT_NE(why.find("journal batch 2 is damaged"), std::string::npos) << why;
  EXPECT_EQ(mount(true), 1) << "read-only what stands before the damage is served";
}

TEST_F(RecoveryTest, ATornBatchBehindDamageStillProvesIt) {
  const uint64_t first = commit_extent();
  const uint64_t second = commit_extent();
  damage_batch(first);
  damage_batch(second);
  EXPECT_EQ(mount(), -EUCLEAN) << "its header says that batch 1 was durable";
}

TEST_F(RecoveryTest, ABatchWhoseDataIsLostIsDropped) {
  commit_extent();
  BlockNo block;
  commit_extent(&block);
  flip(block.v, 77);
  EXPECT_EQ(mount(), 1);
  EXPECT_EQ(check_volume(device), "");
}

TEST_F(RecoveryTest, DataOfABatchKnownDurableIsNotRead) {
  BlockNo block;
  commit_extent(&block);
  commit_extent();
  flip(block.v, 77);  // rot, found when it is read
  EXPECT_EQ(mount(), 2);
  std::vector<std::byte> bytes(kBlockBytes);
  const auto mappings = fs->pin().reader().map(kRootIno, block.v, 1);
  ASSERT_TRUE(mappings.ok() && mappings->size() == 1);
  EXPECT_EQ(fs->read_data(block, (*mappings)[0].crcs[0], bytes).code(), EUCLEAN);
  EXPECT_EQ(fs->statistics().corruptions, 1u);
}

TEST_F(RecoveryTest, AnUnreadableJournalIsRefusedWithItsError) {
  commit_extent();
  const Superblock sb = newest();
  fs.reset();
  // A journal that leaves the device cannot come from a valid superblock; reading it fails anyway.
  MemoryDevice shorter(sb.geometry.journal_first + 1);
  std::string reason;
  EXPECT_FALSE(recover_journal(shorter, sb, false, &reason).ok());
}

TEST_F(RecoveryTest, EveryMountThatWritesBeginsAnEpoch) {
  const uint64_t first = newest().mount_epoch;
  EXPECT_EQ(fs->info().mount_epoch, first);
  ASSERT_EQ(mount(), 0);
  EXPECT_EQ(newest().mount_epoch, first + 1) << "with nothing to replay";
  commit_extent();
  ASSERT_EQ(mount(true), 1);
  EXPECT_EQ(newest().mount_epoch, first + 1) << "a read-only mount writes nothing";
  ASSERT_EQ(mount(), 1);
  EXPECT_EQ(newest().mount_epoch, first + 2) << "with a batch to replay";
  const Superblock sb = newest();
  commit_extent();
  JournalReader reader(device, journal_area(sb), sb.mount_epoch, journal_start(sb));
  const auto batch = reader.next();
  ASSERT_TRUE(batch.ok() && batch->has_value());
  EXPECT_EQ((*batch)->header.mount_epoch, first + 2);
}

TEST_F(RecoveryTest, ADroppedBatchDoesNotComeBack) {
  commit_extent();
  BlockNo block;
  commit_extent(&block);
  flip(block.v, 77);
  ASSERT_EQ(mount(), 1);
  flip(block.v, 77);  // the data are right again: as whole as an acknowledged batch, but an old one
  EXPECT_EQ(mount(), 1);
}

TEST_F(RecoveryTest, ALostSuperblockIsRefused) {
  commit_extent();
  ASSERT_TRUE(fs->checkpoint().ok());
  commit_extent();
  damage_newest_superblock();
  EXPECT_EQ(mount(), -EUCLEAN);
  EXPECT_NE(why.find("a superblock was lost"), std::string::npos) << why;
  EXPECT_EQ(mount(true), -EUCLEAN) << "what it covered may be overwritten";
}

TEST_F(RecoveryTest, ALostSuperblockOfAMountIsRefused) {
  commit_extent();
  ASSERT_TRUE(fs->unmount().ok());
  ASSERT_EQ(mount(), 1);
  commit_extent();
  damage_newest_superblock();
  EXPECT_EQ(mount(), -EUCLEAN) << "the batch behind an orderly unmount";
}

TEST_F(RecoveryTest, ALostSuperblockWithNothingBehindItChangesNothing) {
  for (int i = 0; i < 5; ++i) ASSERT_EQ(history.step(*fs, 20).code(), 0);
  ASSERT_TRUE(fs->checkpoint().ok());
  damage_newest_superblock();
  ASSERT_EQ(mount(), 5) << "the one before and the journal";
  EXPECT_EQ(compare_state(*fs, history.newest()), "");
  EXPECT_EQ(check_volume(device), "");
}

// After every step the superblock before the newest one still has its tree, its maps, its data and its
// part of the journal.
TEST_F(RecoveryTest, TheCheckpointBeforeStaysWhole) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(6); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    fs.reset();
    format_tiny(device, 24);
    fs = mount_or_fail(device);
    ASSERT_TRUE(fs);
    history = DiskHistory(seed);
    history.adopt(*fs);
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ(history.step(*fs, history.random.between(1, 40)).code(), 0);
      if (history.random.percent(20)) {
        ASSERT_TRUE(fs->checkpoint().ok());
      }
      history.forget_before(fs->checkpointed_seq());
      auto copy = device.clone();
      for (const uint64_t block : superblock_targets(newest().generation, kBlocks)) {
        const std::vector<std::byte> zeros(kBlockBytes);
        ASSERT_TRUE(copy->write(BlockNo(block), zeros).ok());
      }
      ASSERT_EQ(check_volume(*copy), "");
      std::string reason;
      const auto before = read_newest_superblock(*copy, &reason);
      ASSERT_TRUE(before.ok()) << reason;
      ASSERT_LT(before->generation, newest().generation);
      JournalReader reader(*copy, journal_area(*before), before->mount_epoch,
                           journal_start(*before));
      while (reader.next()->has_value()) {
      }
      if (before->mount_epoch == newest().mount_epoch) {
        ASSERT_EQ(reader.point().sequence, fs->committed_seq() + 1);
      }
    }
  }
}

TEST_F(RecoveryTest, ABatchThatNamesBlocksOutsideTheDataAreaIsRefused) {
  const uint32_t crc = 0;
  Batch batch;
  batch.put_extent(kRootIno, 0, BlockNo(newest().geometry.journal_first), std::span(&crc, 1));
  ASSERT_TRUE(fs->commit(batch).ok());
  EXPECT_EQ(mount(), -EUCLEAN);
  EXPECT_NE(why.find("operation that is not valid"), std::string::npos) << why;
}

TEST_F(RecoveryTest, TwoFilesThatNameOneBlockAreRefused) {
  BlockNo block;
  commit_extent(&block);
  std::vector<std::byte> bytes(kBlockBytes, static_cast<std::byte>(block.v));
  const uint32_t crc = crc32c(bytes.data(), bytes.size());
  Batch batch;
  batch.put_extent(kRootIno, 5000, block, std::span(&crc, 1));
  ASSERT_TRUE(fs->commit(batch).ok());
  EXPECT_EQ(fs->checkpoint().code(), EUCLEAN);
  EXPECT_TRUE(fs->failed());
  EXPECT_EQ(fs->commit(batch).code(), EROFS);
  EXPECT_EQ(fs->checkpoint().code(), EROFS);
  EXPECT_TRUE(fs->pin().reader().inode(kRootIno).ok()) << "reads go on";
  EXPECT_EQ(mount(), -EUCLEAN);
}

TEST_F(RecoveryTest, OtherDevicesAreNamedForWhatTheyAre) {
  fs.reset();
  MemoryDevice empty(kBlocks);
  auto mounted = DiskFs::mount(empty, {}, &why);
  EXPECT_EQ(mounted.code(), EINVAL);
  EXPECT_NE(why, "");
  device.set_read_only(true);
  mounted = DiskFs::mount(device, {}, &why);
  EXPECT_EQ(mounted.code(), EROFS);
  EXPECT_NE(why.find("read-only"), std::string::npos) << why;
  EXPECT_EQ(mount(true), 0);
}

}  // namespace
}  // namespace scalefs::diskfs
