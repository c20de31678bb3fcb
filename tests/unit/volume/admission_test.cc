#include "volume/admission.h"

#include <gtest/gtest.h>

#include "tests/unit/volume/fake_room.h"

namespace scalefs::volume {
namespace {

using memfs::Need;

class AdmissionTest : public ::testing::Test {
 protected:
  static AdmissionLimits limits() {
    AdmissionLimits limits;
    limits.log_bytes_max = 100000;
    limits.page_bytes_max = 1 << 20;
    limits.commit_operations = 1000;
    limits.commit_bytes = 50000;
    return limits;
  }
  static Need blocks(uint64_t count, bool always = false) {
    Need need;
    need.blocks = count;
    need.metadata_ops = 1;
    need.always = always;
    return need;
  }
  static Need logs(uint64_t bytes) {
    Need need;
    need.log_bytes = bytes;
    return need;
  }
  static Need memory(uint64_t bytes) {
    Need need;
    need.memory_bytes = bytes;
    return need;
  }
  // Blocks that can be reserved one by one until ENOSPC.
  uint64_t drain() {
    uint64_t count = 0;
    while (admission_.reserve(blocks(1)).ok()) ++count;
    return count;
  }

  FakeRoom room_;
  BlockCredits credits_{room_, 10000};
  Health health_{false};
  Admission admission_{room_, credits_, health_, limits()};
};

TEST_F(AdmissionTest, BlocksAreRefusedWhenOnlyTheReserveIsLeft) {
  const uint64_t taken = drain();
  EXPECT_LE(taken, room_.free - credits_.reserve_blocks());
  EXPECT_GE(taken, room_.free - credits_.reserve_blocks() - BlockCredits::kBlocksAnOperation);
  EXPECT_EQ(admission_.reserve(blocks(1)).code(), ENOSPC);
  EXPECT_GT(room_.recoveries, 0) << "refused without trying to recover space";
  EXPECT_EQ(credits_.held(), taken);
}

TEST_F(AdmissionTest, UnusedBlocksCanBeTakenAgain) {
  const uint64_t taken = drain();
  admission_.unreserve(blocks(7));
  EXPECT_EQ(credits_.held(), taken - 7);
  EXPECT_EQ(drain(), 7u);
}

TEST_F(AdmissionTest, SpentBlocksAreTheAllocatorsFromThenOn) {
  const uint64_t taken = drain();
  credits_.spend(100);
  room_.free -= 100;
  EXPECT_EQ(drain(), 0u);
  EXPECT_EQ(credits_.held(), taken - 100);
}

TEST_F(AdmissionTest, SpaceThatACheckpointReleasesIsFoundBeforeENOSPC) {
  drain();
  room_.freed_by_recovery = 50;
  const int before = room_.recoveries;
  EXPECT_TRUE(admission_.reserve(blocks(40)).ok());
  EXPECT_EQ(room_.recoveries, before + 1);
}

TEST_F(AdmissionTest, IdleCreditsOfOtherCoresAreGathered) {
  set_thread_core(0);
  ASSERT_TRUE(admission_.reserve(blocks(1)).ok());  // leaves a bulk in the pool of core 0
  const uint64_t all = room_.free - credits_.reserve_blocks() -
                       2 * BlockCredits::kBlocksAnOperation - 1;
  set_thread_core(static_cast<int32_t>(core_count() - 1));
  EXPECT_TRUE(admission_.reserve(blocks(all)).ok());
  EXPECT_EQ(room_.recoveries, 0);
  set_thread_core(-1);
}

TEST_F(AdmissionTest, CallsThatGiveSpaceBackAreNeverRefused) {
  drain();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(admission_.reserve(blocks(1, true)).ok());
}

TEST_F(AdmissionTest, PendingMetadataForcesACheckpointBeforeItReachesTheReserve) {
  room_.bound = room_.free - credits_.reserve_blocks() / 2;
  EXPECT_TRUE(admission_.reserve(blocks(1)).ok());
  EXPECT_EQ(room_.recoveries, 1);
  EXPECT_EQ(room_.bound, 0u);
}

TEST_F(AdmissionTest, StatfsIsNeverNegative) {
  room_.free = 5;
  EXPECT_EQ(credits_.available_for_users(), 0u);
  room_.free = 10000;
  EXPECT_EQ(credits_.available_for_users(), 10000 - credits_.reserve_blocks());
}

TEST_F(AdmissionTest, FullLogWaitsForACommit) {
  room_.log = 99000;
  EXPECT_TRUE(admission_.reserve(logs(5000)).ok());
  EXPECT_EQ(room_.commits, 1);
  EXPECT_EQ(room_.wanted_commits, 1);
}

TEST_F(AdmissionTest, LogIsLookedAtOnceInAWhile) {
  for (int i = 0; i < 1000; ++i) {
    room_.log += 100;
    ASSERT_TRUE(admission_.reserve(logs(100)).ok());
  }
  EXPECT_GT(room_.wanted_commits, 0);
  EXPECT_LT(room_.wanted_commits, 10);
}

TEST_F(AdmissionTest, FailedCommitEndsTheWaitForTheLog) {
  room_.log = 99000;
  room_.commit_status = Errno(EIO);
  EXPECT_EQ(admission_.reserve(logs(5000)).code(), EIO);
}

TEST_F(AdmissionTest, CleanPagesAreEvictedAtTheLimit) {
  room_.pages = 1 << 20;
  EXPECT_TRUE(admission_.reserve(memory(4096)).ok());
  EXPECT_LE(room_.pages, admission_.page_bytes_target());
  EXPECT_EQ(room_.writebacks, 0);
}

TEST_F(AdmissionTest, DirtyPagesAreWrittenByWhoNeedsMemory) {
  room_.pages = room_.dirty = 1 << 20;
  EXPECT_TRUE(admission_.reserve(memory(4096)).ok());
  EXPECT_GT(room_.writebacks, 0);
  EXPECT_GT(room_.wanted_writebacks, 0);
  EXPECT_LE(room_.pages, admission_.page_bytes_target());
}

TEST_F(AdmissionTest, PagesThatOnlyTheJournalHasAreCheckpointed) {
  room_.pages = room_.unevictable = 1 << 20;
  EXPECT_TRUE(admission_.reserve(memory(4096)).ok());
  EXPECT_EQ(room_.settles, 1);
  EXPECT_LE(room_.pages, admission_.page_bytes_target());
}

TEST_F(AdmissionTest, FailedAndStoppedVolumesRefuseChangesOnly) {
  health_.fail("a test's write", Errno(EIO));
  EXPECT_EQ(admission_.reserve(blocks(1)).code(), EROFS);
  EXPECT_TRUE(admission_.reserve(memory(4096)).ok());
  health_.stop();
  EXPECT_EQ(admission_.reserve(blocks(1)).code(), EIO);
  EXPECT_TRUE(admission_.reserve(memory(4096)).ok());
}

}  // namespace
}  // namespace scalefs::volume
