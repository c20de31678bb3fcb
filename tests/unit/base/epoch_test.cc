#include "base/epoch.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

namespace scalefs {
namespace {

// Counts its deletions.
struct Traced {
  explicit Traced(int& counter) : deleted(counter) {}
  ~Traced() { ++deleted; }
  int& deleted;
};

class EpochTest : public ::testing::Test {
 protected:
  void SetUp() override { epoch::drain(); }
  void TearDown() override {
    epoch::drain();
    EXPECT_EQ(epoch::pending(), 0u);
  }
};

TEST_F(EpochTest, RetireDoesNotFreeInTheCall) {
  int deleted = 0;
  epoch::retire(new Traced(deleted));
  EXPECT_EQ(deleted, 0);
  EXPECT_EQ(epoch::pending(), 1u);
  epoch::drain();
  EXPECT_EQ(deleted, 1);
  EXPECT_EQ(epoch::pending(), 0u);
}

TEST_F(EpochTest, FreedAfterTwoAdvancesAndNotBefore) {
  int deleted = 0;
  epoch::retire(new Traced(deleted));
  EXPECT_TRUE(epoch::try_advance());
  EXPECT_EQ(deleted, 0);
  EXPECT_TRUE(epoch::try_advance());
  EXPECT_EQ(deleted, 1);
}

TEST_F(EpochTest, NothingIsFreedUnderAGuardThatBeganBefore) {
  int deleted = 0;
  {
    EpochGuard guard;
    EXPECT_TRUE(epoch::in_guard());
    for (int i = 0; i < 1000; ++i) epoch::retire(new Traced(deleted));
    for (int i = 0; i < 10; ++i) epoch::try_advance();
    EXPECT_EQ(deleted, 0);
  }
  EXPECT_FALSE(epoch::in_guard());
  epoch::drain();
  EXPECT_EQ(deleted, 1000);
}

TEST_F(EpochTest, GuardsNest) {
  int deleted = 0;
  {
    EpochGuard outer;
    {
      EpochGuard inner;
      epoch::retire(new Traced(deleted));
    }
    EXPECT_TRUE(epoch::in_guard());
    for (int i = 0; i < 10; ++i) epoch::try_advance();
    EXPECT_EQ(deleted, 0);
  }
  epoch::drain();
  EXPECT_EQ(deleted, 1);
}

TEST_F(EpochTest, AnotherThreadsGuardHoldsFreeingUpUntilItEnds) {
  std::latch guarded(1);
  std::latch leave(1);
  std::latch left(1);
  std::latch exit(1);
  std::thread reader([&] {
    {
      EpochGuard guard;
      guarded.count_down();
      leave.wait();
    }
    left.count_down();
    exit.wait();
  });
  guarded.wait();
  int deleted = 0;
  epoch::retire(new Traced(deleted));
  for (int i = 0; i < 10; ++i) epoch::try_advance();
  EXPECT_EQ(deleted, 0);
  leave.count_down();
  left.wait();
  epoch::drain();
  EXPECT_EQ(deleted, 1);
  exit.count_down();
  reader.join();
}

// A thread that entered its guard late blocks nothing for more than one epoch, and an idle thread
// blocks nothing at all.
TEST_F(EpochTest, IdleThreadsDoNotStopTheEpoch) {
  std::latch used(1);
  std::latch exit(1);
  std::thread idle([&] {
    { EpochGuard guard; }
    used.count_down();
    exit.wait();
  });
  used.wait();
  EXPECT_TRUE(epoch::try_advance());
  EXPECT_TRUE(epoch::try_advance());
  exit.count_down();
  idle.join();
}

TEST_F(EpochTest, WhatAnEndedThreadRetiredIsFreed) {
  int deleted = 0;
  std::thread([&] { epoch::retire(new Traced(deleted)); }).join();
  EXPECT_EQ(deleted, 0);
  EXPECT_EQ(epoch::pending(), 1u);
  epoch::drain();
  EXPECT_EQ(deleted, 1);
}

TEST_F(EpochTest, ManyShortThreadsLeaveNothing) {
  int deleted = 0;
  for (int i = 0; i < 200; ++i) {
    std::thread([&] {
      EpochGuard guard;
      epoch::retire(new Traced(deleted));
    }).join();
  }
  epoch::drain();
  EXPECT_EQ(deleted, 200);
}

TEST_F(EpochTest, GuardInAThreadLocalDestructorIsHarmless) {
  struct Late {
    ~Late() {
      EpochGuard guard;
      epoch::retire(new int(1));
    }
  };
  std::thread([] {
    thread_local Late late;
    (void)&late;
    EpochGuard guard;  // claims the record after `late`, so it is released before
  }).join();
  epoch::drain();
  EXPECT_EQ(epoch::pending(), 0u);
}

// A list whose nodes retire the next one when they are deleted.
struct Chain {
  int& deleted;
  Chain* next;
  ~Chain() {
    ++deleted;
    if (next != nullptr) epoch::retire(next);
  }
};

TEST_F(EpochTest, DrainFollowsWhatDeletersRetire) {
  int deleted = 0;
  Chain* head = nullptr;
  for (int i = 0; i < 10; ++i) head = new Chain{deleted, head};
  epoch::retire(head);
  epoch::drain();
  EXPECT_EQ(deleted, 10);
}

TEST_F(EpochTest, RetiringAloneKeepsTheBacklogBounded) {
  int deleted = 0;
  size_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    epoch::retire(new Traced(deleted));
    most = std::max(most, epoch::pending());
  }
  // Three epochs' worth of one attempt each, and the one that is gathering.
  EXPECT_LE(most, 4u * epoch::kRetiresAStep);
  epoch::drain();
  EXPECT_EQ(deleted, 20'000);
}

TEST_F(EpochTest, DeletersAreCalledInOrderOfRetirement) {
  static std::vector<int> order;
  order.clear();
  static int values[100];
  for (int i = 0; i < 100; ++i) {
    values[i] = i;
    epoch::retire(&values[i], [](void* p) { order.push_back(*static_cast<int*>(p)); });
  }
  epoch::drain();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(EpochDeathTest, DrainUnderAGuardAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        EpochGuard guard;
        epoch::drain();
      },
      "check failed: !in_guard");
}

}  // namespace
}  // namespace scalefs
