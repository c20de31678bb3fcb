#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace scalefs {
namespace {

// Four threads add to a plain counter under the lock; a lock that does not exclude loses some.
template <class Lock, class Guard>
int count_under(Lock& lock) {
  int counter = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        Guard guard(lock);
        ++counter;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return counter;
}

TEST(Mutex, Excludes) {
  Mutex mutex;
  EXPECT_EQ((count_under<Mutex, MutexLock>(mutex)), 20'000);
}

TEST(SpinBit, Excludes) {
  SpinBit bit;
  EXPECT_EQ((count_under<SpinBit, SpinLock>(bit)), 20'000);
}

// A guard for the one lock that has none of its own.
struct HeldSleepBit {
  explicit HeldSleepBit(SleepBit& b) NO_THREAD_SAFETY_ANALYSIS : bit(b) { bit.lock(); }
  ~HeldSleepBit() NO_THREAD_SAFETY_ANALYSIS { bit.unlock(); }
  SleepBit& bit;
};

TEST(SleepBit, Excludes) {
  SleepBit bit;
  EXPECT_EQ((count_under<SleepBit, HeldSleepBit>(bit)), 20'000);
  EXPECT_FALSE(bit.held());
}

TEST(SleepBit, WaitersAreWokenOneAfterAnother) {
  SleepBit bit;
  int entered = 0;
  std::vector<std::thread> threads;
  {
    HeldSleepBit held(bit);
    EXPECT_TRUE(bit.held());
    EXPECT_EQ(sizeof(bit), 1u);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        HeldSleepBit mine(bit);
        ++entered;
      });
    }
    EXPECT_EQ(entered, 0);
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(entered, 4);
}

TEST(SharedMutex, ExcludesWriters) {
  SharedMutex mutex;
  EXPECT_EQ((count_under<SharedMutex, ExclusiveLock>(mutex)), 20'000);
}

template <class Lock>
bool others_can_lock(Lock& lock) {
  bool could = false;
  std::thread([&] {
    if (!lock.try_lock()) return;
    could = true;
    lock.unlock();
  }).join();
  return could;
}

TEST(Mutex, TryLockFailsWhileHeld) {
  Mutex mutex;
  {
    MutexLock lock(mutex);
    EXPECT_FALSE(others_can_lock(mutex));
  }
  EXPECT_TRUE(others_can_lock(mutex));
}

TEST(SpinBit, IsOneByteAndFreeWhenZero) {
  static_assert(sizeof(SpinBit) == 1);
  alignas(SpinBit) unsigned char zero[sizeof(SpinBit)] = {};
  auto* bit = std::launder(reinterpret_cast<SpinBit*>(zero));
  EXPECT_FALSE(bit->held());
  bit->lock();
  EXPECT_TRUE(bit->held());
  EXPECT_FALSE(bit->try_lock());
  bit->unlock();
  EXPECT_FALSE(bit->held());
}

TEST(SharedMutex, ReadersShareAndKeepWritersOut) {
  SharedMutex mutex;
  SharedLock mine(mutex);
  bool second_reader = false;
  std::thread([&] {
    SharedLock theirs(mutex);
    second_reader = true;
  }).join();
  EXPECT_TRUE(second_reader);
  EXPECT_FALSE(others_can_lock(mutex));
}

TEST(CondVar, HandsAValueBackAndForth) {
  Mutex mutex;
  CondVar changed;
  int turn = 0;
  auto play = [&](int parity) {
    for (int i = 0; i < 200; ++i) {
      MutexLock lock(mutex);
      while (turn % 2 != parity) changed.wait(mutex);
      ++turn;
      changed.notify_all();
    }
  };
  std::thread even([&] { play(0); });
  std::thread odd([&] { play(1); });
  even.join();
  odd.join();
  EXPECT_EQ(turn, 400);
}

TEST(CondVar, NotifyOneWakesAWaiter) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread waiter([&] {
    MutexLock lock(mutex);
    while (!ready) changed.wait(mutex);
  });
  {
    MutexLock lock(mutex);
    ready = true;
  }
  changed.notify_one();
  waiter.join();
}

TEST(CondVar, WaitForRunsOutAndHoldsTheLockAgain) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  while (never.wait_for(mutex, 1)) {  // true: a spurious wake-up
  }
  EXPECT_FALSE(others_can_lock(mutex));
}

TEST(CondVar, WaitForTakesAnyTimeout) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread waiter([&] {
    MutexLock lock(mutex);
    while (!ready) changed.wait_for(mutex, UINT64_MAX);
  });
  {
    MutexLock lock(mutex);
    ready = true;
    changed.notify_all();
  }
  waiter.join();
}

}  // namespace
}  // namespace scalefs
