#include "base/schedule.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/core.h"
#include "base/mutex.h"

namespace scalefs {
namespace {

using Bodies = std::vector<std::function<void()>>;

// Three threads that each mark their steps; the order of the marks.
std::string trace_of(uint64_t seed) {
  std::string trace;
  Atomic<int> shared{0};
  Mutex mutex;
  Bodies bodies;
  for (char name : {'a', 'b', 'c'}) {
    bodies.push_back([&, name] {
      for (int i = 0; i < 20; ++i) {
        shared.fetch_add(1, relaxed);
        trace += name;
        MutexLock lock(mutex);
        trace += static_cast<char>('0' + cycle_now() % 10);
        trace += static_cast<char>('0' + schedule::choose(10));
      }
    });
  }
  schedule::run({.seed = seed}, bodies);
  return trace;
}

TEST(Schedule, SameSeedSameTrace) {
  std::set<std::string> traces;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::string first = trace_of(seed);
    EXPECT_EQ(first.size(), 180u);
    EXPECT_EQ(trace_of(seed), first) << "seed " << seed;
    traces.insert(first);
  }
  EXPECT_EQ(traces.size(), 20u);  // and other seeds give others
}

TEST(Schedule, OneThreadRunsAtATime) {
  int inside = 0;  // not atomic on purpose
  bool overlap = false;
  Bodies bodies(4, [&] {
    for (int i = 0; i < 100; ++i) {
      overlap = overlap || ++inside != 1;
      --inside;
      schedule::point();
    }
  });
  schedule::run({.seed = 3}, bodies);
  EXPECT_FALSE(overlap);
}

// Adds to a counter in two steps; what the counter is in the end.
int add_without_lock(uint64_t seed) {
  Atomic<int> counter{0};
  Bodies bodies(2, [&] {
    for (int i = 0; i < 3; ++i) counter.store(counter.load(relaxed) + 1, relaxed);
  });
  schedule::run({.seed = seed}, bodies);
  return counter.load(relaxed);
}

// A canary: a scheduler that cannot find this finds nothing.
TEST(Schedule, CanaryFindsALostUpdate) {
  int found = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) found += add_without_lock(seed) != 6;
  EXPECT_GT(found, 10);
  EXPECT_LT(found, 50);  // nor does every interleaving have the fault
}

template <class Lock, class Guard>
void expect_excludes() {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Lock lock;
    Atomic<int> counter{0};
    Bodies bodies(3, [&] {
      for (int i = 0; i < 3; ++i) {
        Guard guard(lock);
        counter.store(counter.load(relaxed) + 1, relaxed);
      }
    });
    schedule::run({.seed = seed}, bodies);
    ASSERT_EQ(counter.load(relaxed), 9) << "seed " << seed;
  }
}

TEST(Schedule, MutexExcludes) { expect_excludes<Mutex, MutexLock>(); }
TEST(Schedule, SharedMutexExcludes) { expect_excludes<SharedMutex, ExclusiveLock>(); }
TEST(Schedule, SpinBitExcludes) { expect_excludes<SpinBit, SpinLock>(); }

TEST(Schedule, ReadersOfASharedMutexMeet) {
  int most = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SharedMutex mutex;
    int inside = 0;
    Bodies bodies(3, [&] {
      SharedLock lock(mutex);
      most = std::max(most, ++inside);
      schedule::point();
      schedule::point();
      --inside;
    });
    schedule::run({.seed = seed}, bodies);
  }
  EXPECT_GE(most, 2);
}

TEST(Schedule, CondVarLosesNoWakeUp) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Mutex mutex;
    CondVar changed;
    int turn = 0;
    auto play = [&](int parity) {
      for (int i = 0; i < 5; ++i) {
        MutexLock lock(mutex);
        while (turn % 2 != parity) changed.wait(mutex);
        ++turn;
        changed.notify_one();
      }
    };
    schedule::run({.seed = seed}, {[&] { play(0); }, [&] { play(1); }});
    ASSERT_EQ(turn, 10) << "seed " << seed;
  }
}

TEST(Schedule, WaitForBothRunsOutAndWakes) {
  std::set<bool> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Mutex mutex;
    CondVar never;
    schedule::run({.seed = seed}, {[&] {
                    MutexLock lock(mutex);
                    seen.insert(never.wait_for(mutex, 1000));
                  }});
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Schedule, ClocksAreVirtualAndSkewed) {
  auto readings = [](uint64_t seed) {
    std::vector<uint64_t> all;
    Bodies bodies(2, [&] {
      for (int i = 0; i < 50; ++i) all.push_back(cycle_now());
      all.push_back(static_cast<uint64_t>(wall_ns()));
      all.push_back(monotonic_ms());
    });
    schedule::run({.seed = seed}, bodies);
    return all;
  };
  const auto first = readings(5);
  EXPECT_EQ(readings(5), first);
  const std::set<uint64_t> distinct(first.begin(), first.end());
  EXPECT_LT(distinct.size(), first.size());  // equal stamps happen
  EXPECT_GT(distinct.size(), 10u);

  const uint32_t real_count = core_count();
  set_core_count_for_test(4);
  set_cycle_skew_for_test(1, -1000);
  uint64_t late = 0;
  uint64_t early = 0;
  schedule::run({.seed = 6, .switch_percent = 0},
                {[&] { late = cycle_now(); }, [&] { early = cycle_now(); }});
  set_cycle_skew_for_test(1, 0);
  set_core_count_for_test(real_count);
  EXPECT_GT(late, early + 900);
}

TEST(Schedule, BodiesStartOnSlotsOfTheirOwn) {
  const uint32_t real_count = core_count();
  set_core_count_for_test(3);
  std::vector<uint32_t> cores(4);
  Bodies bodies;
  for (size_t i = 0; i < cores.size(); ++i) bodies.push_back([&, i] { cores[i] = current_core(); });
  schedule::run({.seed = 1}, bodies);
  set_core_count_for_test(real_count);
  EXPECT_EQ(cores, (std::vector<uint32_t>{0, 1, 2, 0}));
}

// A copy of shared bytes can be torn, as on a real machine.
TEST(Schedule, CanaryFindsATornCopy) {
  int torn = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    alignas(8) static unsigned char page[4096];
    std::vector<unsigned char> ones(sizeof page, 1);
    std::vector<unsigned char> copy(sizeof page);
    racy_zero(page, sizeof page);
    schedule::run({.seed = seed}, {[&] { racy_store(page, ones.data(), sizeof page); },
                                   [&] { racy_load(copy.data(), page, sizeof page); }});
    torn += copy.front() != copy.back();
  }
  EXPECT_GT(torn, 5);
}

TEST(Schedule, PointsOutsideARunDoNothing) {
  EXPECT_FALSE(schedule::active());
  EXPECT_EQ(schedule::running_seed(), 0u);
  schedule::point();
  schedule::yield();
  int resource = 0;
  schedule::unblock(&resource);
  Atomic<int> counter{1};
  EXPECT_EQ(counter.fetch_add(1, relaxed), 1);
}

TEST(Schedule, NoBodiesNoRun) { schedule::run({.seed = 1}, {}); }

// Two locks taken in both orders: some seed among these interleaves them so that both wait.
TEST(ScheduleDeathTest, DeadlockIsReportedWithItsSeed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        for (uint64_t seed = 1; seed <= 100; ++seed) {
          Mutex a;
          Mutex b;
          schedule::run({.seed = seed}, {[&] {
                                           MutexLock first(a);
                                           MutexLock second(b);
                                         },
                                         [&] {
                                           MutexLock first(b);
                                           MutexLock second(a);
                                         }});
        }
      },
      "deadlock \\(seed [0-9]+, switch_percent 30");
}

TEST(ScheduleDeathTest, AWaiterThatNobodyWakesIsADeadlock) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Mutex mutex;
        CondVar never;
        schedule::run({.seed = 9}, {[&] {
                                      MutexLock lock(mutex);
                                      never.wait(mutex);
                                    },
                                    [] {}});
      },
      "deadlock \\(seed 9");
}

TEST(ScheduleDeathTest, EndlessRunsAreCutOff) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(schedule::run({.seed = 8, .steps_max = 1000}, {[] {
                               for (;;) schedule::point();
                             }}),
               "too many steps \\(seed 8");
}

TEST(ScheduleDeathTest, FailedChecksNameTheSeed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(schedule::run({.seed = 77}, {[] { SCALEFS_CHECK(1 == 2); }}), "schedule seed 77");
}

}  // namespace
}  // namespace scalefs
