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
    need.always = always;
    return need;
  }
  static Need places(uint32_t count, bool always = false) {
    Need need;
    need.tree_places = count;
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
  const uint64_t usable = room_.free - credits_.fixed_blocks();
  EXPECT_LE(taken + taken / 16, usable);
  EXPECT_GE(taken + taken / 16, usable - 16);
  EXPECT_EQ(admission_.reserve(blocks(1)).code(), ENOSPC);
  EXPECT_GT(room_.recoveries, 0) << "refused without trying to recover space";
  EXPECT_EQ(credits_.held(), taken);
}

TEST_F(AdmissionTest, UnusedBlocksCanBeTakenAgain) {
  const uint64_t taken = drain();
  admission_.unreserve(blocks(7));
  EXPECT_EQ(credits_.held(), taken - 7);
  EXPECT_GE(drain(), 7u);
}

TEST_F(AdmissionTest, SpentBlocksAreTheAllocatorsFromThenOn) {
  const uint64_t taken = drain();
  credits_.spend(100);
  room_.free -= 100;
  EXPECT_LE(drain(), 100u / 16 + 1) << "what the tree does not need any more for them";
  EXPECT_GE(credits_.held(), taken - 100);
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
  const uint64_t all = (room_.free - credits_.fixed_blocks()) / 17 * 16 - 32;
  set_thread_core(static_cast<int32_t>(core_count() - 1));
  EXPECT_TRUE(admission_.reserve(blocks(all)).ok());
  EXPECT_EQ(room_.recoveries, 0);
  set_thread_core(-1);
}

TEST_F(AdmissionTest, CallsThatGiveSpaceBackAreNeverRefused) {
  drain();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(admission_.reserve(blocks(1, true)).ok());
  const int before = room_.recoveries;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(admission_.reserve(places(12, true)).ok());
    room_.places += 12;  // its record
    admission_.unreserve(places(12));
  }
  EXPECT_GT(room_.recoveries, before) << "more changes than the reserve is for, and no checkpoint";
}

TEST_F(AdmissionTest, PlacesOfCallsUnderWayCount) {
  uint32_t calls = 0;
  while (admission_.reserve(places(30)).ok()) ++calls;
  EXPECT_LE(calls * 40, room_.free - credits_.fixed_blocks());
  EXPECT_GE(calls * 40 + 100, room_.free - credits_.fixed_blocks());
  EXPECT_EQ(admission_.reserve(blocks(100)).code(), ENOSPC);
  for (uint32_t i = 0; i < calls; ++i) admission_.unreserve(places(30));
  EXPECT_TRUE(admission_.reserve(blocks(100)).ok());
}

TEST_F(AdmissionTest, EveryInodeKeepsRoomForItsEnd) {
  const uint64_t before = credits_.available_for_users();
  room_.inodes = 96 * 100;
  EXPECT_EQ(credits_.available_for_users(), before - 100);
}

TEST_F(AdmissionTest, WhoRecoversSpaceDoesNotWaitForItself) {
  room_.bound = room_.free;
  int refused = 0;
  room_.on_recovery = [&] {
    if (admission_.reserve(places(9, true)).code() == ENOSPC) ++refused;
  };
  EXPECT_TRUE(admission_.reserve(places(9, true)).ok());
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(room_.recoveries, 1);
}

TEST_F(AdmissionTest, PendingMetadataForcesACheckpointBeforeItReachesTheReserve) {
  room_.bound = room_.free - credits_.fixed_blocks() / 2;
  EXPECT_TRUE(admission_.reserve(blocks(1)).ok());
  EXPECT_EQ(room_.recoveries, 1);
  EXPECT_EQ(room_.bound, 0u);
}

TEST_F(AdmissionTest, StatfsIsNeverNegative) {
  room_.free = 5;
  EXPECT_EQ(credits_.available_for_users(), 0u);
  room_.free = 10000;
  EXPECT_EQ(credits_.available_for_users(), 10000 - credits_.fixed_blocks());
}

// What a call reserves for a moment is nothing that a user is told of.
TEST_F(AdmissionTest, StatfsFollowsWhatPagesHold) {
  const uint64_t before = credits_.available_for_users();
  ASSERT_TRUE(admission_.reserve(blocks(5)).ok());
  EXPECT_EQ(credits_.available_for_users(), before);
  admission_.pages_hold(3);
  admission_.unreserve(blocks(2));
  EXPECT_EQ(credits_.available_for_users(), before - 3);
  EXPECT_EQ(credits_.held_by_pages(), credits_.held());
  credits_.spend(3);
  room_.free -= 3;
  EXPECT_EQ(credits_.available_for_users(), before - 3);
  credits_.unspend(1);
  room_.free += 1;
  EXPECT_EQ(credits_.available_for_users(), before - 3);
  EXPECT_EQ(credits_.held_by_pages(), credits_.held());
}

// A pool that a call out of the reserve finds empty is filled for those that follow.
TEST_F(AdmissionTest, CallsThatGiveSpaceBackFillThePool) {
  room_.free = 1000 * 1000 * core_count();
  ASSERT_TRUE(admission_.reserve(places(12, true)).ok());
  EXPECT_TRUE(credits_.take_fast(0, 12));
}

// A look at the gauges reads something of every core: one serves them all.
TEST(AdmissionOfManyCores, LooksForAllCoresAtOnce) {
  constexpr uint32_t kCores = 64;
  constexpr uint32_t kCalls = 1000;
  const uint32_t cores_before = core_count();
  set_core_count_for_test(kCores);
  {
    FakeRoom room;
    room.free = 20'000'000;
    BlockCredits credits(room, room.free);
    Health health(false);
    Admission admission(room, credits, health,
                        {.log_bytes_max = 64u << 20,
                         .page_bytes_max = 1u << 30,
                         .commit_operations = UINT64_MAX,
                         .commit_bytes = UINT64_MAX});
    Need need, places;
    need.log_bytes = 1000;
    need.memory_bytes = kBlockBytes;
    need.blocks = 1;
    need.tree_places = places.tree_places = 12;
    for (uint32_t i = 0; i < kCalls; ++i) {
      for (uint32_t core = 0; core < kCores; ++core) {
        set_thread_core(static_cast<int32_t>(core));
        ASSERT_TRUE(admission.reserve(need).ok());
        admission.unreserve(places);
      }
    }
    EXPECT_LE(room.looks, 5) << "refills, " << kCores * kCalls / 256 << " of them";
    EXPECT_LE(room.log_looks, 10);
    EXPECT_LE(room.page_looks, 6);
    // What waits for all cores is nobody's yet.
    EXPECT_EQ(credits.held(), kCores * kCalls);
    credits.gather();
    EXPECT_EQ(credits.held(), kCores * kCalls);
  }
  set_thread_core(-1);
  set_core_count_for_test(cores_before);
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
