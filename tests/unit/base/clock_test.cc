#include "base/clock.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/core.h"

namespace scalefs {
namespace {

class ClockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_core_count_for_test(8);
    set_thread_core(0);
  }
  void TearDown() override {
    use_shared_counter_for_test(false);
    for (uint32_t core = 0; core < 8; ++core) set_cycle_skew_for_test(core, 0);
    set_wall_for_test(-1);
    set_thread_core(-1);
    set_core_count_for_test(real_count_);
  }
  uint32_t real_count_ = core_count();
};

TEST_F(ClockTest, SharedCounterRisesByOneForEveryReader) {
  use_shared_counter_for_test(true);
  EXPECT_FALSE(cycle_is_tsc());
  const uint64_t first = cycle_now();
  EXPECT_GT(first, 0u);
  EXPECT_EQ(cycle_now(), first + 1);
  uint64_t other = 0;
  std::thread([&] { other = cycle_now(); }).join();
  EXPECT_EQ(other, first + 2);
  EXPECT_EQ(cycle_now(), first + 3);
}

TEST_F(ClockTest, SkewMovesOneCoreOnly) {
  use_shared_counter_for_test(true);
  const uint64_t before = cycle_now();
  set_cycle_skew_for_test(3, 1'000'000);
  EXPECT_EQ(cycle_now(), before + 1);
  set_thread_core(3);
  EXPECT_EQ(cycle_now(), before + 2 + 1'000'000);
  set_cycle_skew_for_test(3, 0);
  EXPECT_EQ(cycle_now(), before + 3);
}

TEST_F(ClockTest, SkewBelowZeroStopsAtOne) {
  use_shared_counter_for_test(true);
  set_cycle_skew_for_test(0, INT64_MIN);
  EXPECT_EQ(cycle_now(), 1u);
}

TEST_F(ClockTest, RealCyclesAreNotZeroAndDoNotFallOnOneThread) {
  set_thread_core(-1);
  uint64_t last = cycle_now();
  EXPECT_GT(last, 0u);
  if (cycle_is_tsc()) return;  // a thread that moves may see another core's counter
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = cycle_now();
    EXPECT_GT(now, last);
    last = now;
  }
}

TEST_F(ClockTest, SkewAppliesToTheRealCounterToo) {
  constexpr int64_t kFar = int64_t{1} << 60;
  const uint64_t plain = cycle_now();
  set_cycle_skew_for_test(0, kFar);
  EXPECT_GE(cycle_now(), plain + static_cast<uint64_t>(kFar) / 2);
}

TEST_F(ClockTest, AnIntervalIsMeasuredWithoutTheSharedCounter) {
  use_shared_counter_for_test(true);
  const uint64_t counted = cycle_now();
  const uint64_t start = interval_now();
  while (interval_now() - start < 1000) continue;
  EXPECT_EQ(cycle_now(), counted + 1);
}

TEST_F(ClockTest, ForATestItIsTheRealCounterAnywhere) {
  use_tsc_for_test(true);
  const uint64_t before = cycle_now();
  int readings = 0;
  while (cycle_now() - before < 100'000) ++readings;
  EXPECT_LT(readings, 100'000 - 1);  // as many as a shared counter would take
  use_shared_counter_for_test(true);
  const uint64_t counted = cycle_now();
  EXPECT_EQ(cycle_now(), counted + 1);
  use_tsc_for_test(false);
}

TEST_F(ClockTest, WallClockIsFakedAndGivenBack) {
  EXPECT_GT(wall_ns(), 1'600'000'000'000'000'000);
  EXPECT_GT(wall_coarse_ns(), 1'600'000'000'000'000'000);
  set_wall_for_test(12345);
  EXPECT_EQ(wall_ns(), 12345);
  EXPECT_EQ(wall_coarse_ns(), 12345);
  set_wall_for_test(0);
  EXPECT_EQ(wall_ns(), 0);
  set_wall_for_test(-1);
  EXPECT_GT(wall_ns(), 1'600'000'000'000'000'000);
}

TEST_F(ClockTest, MonotonicDoesNotFall) {
  const uint64_t first = monotonic_ms();
  EXPECT_GE(monotonic_ms(), first);
}

}  // namespace
}  // namespace scalefs
