#include "oplog/op_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/clock.h"

namespace scalefs::oplog {
namespace {

struct Item final : LogEntry {
  explicit Item(int v, int* live = nullptr) : value(v), counter(live) {
    if (counter) ++*counter;
  }
  ~Item() override {
    if (counter) --*counter;
  }
  int value;
  int* counter;
};

class OpLogTest : public ::testing::Test {
 protected:
  void SetUp() override { set_core_count_for_test(4); }
  void TearDown() override {
    set_thread_core(-1);
    for (uint32_t i = 0; i < 4; ++i) set_cycle_skew_for_test(i, 0);
  }
  Stamp put(OpLog& log, int core, int value, Stamp at_least = 0, uint32_t cost = 0) {
    set_thread_core(core);
    OpLog::Slot slot(log);
    const Stamp stamp = slot.stamp(at_least);
    auto item = std::make_unique<Item>(value, &live_);
    item->cost_bytes = cost;
    slot.append(std::move(item));
    return stamp;
  }
  static std::vector<int> values(const OpLog::Cut& cut) {
    std::vector<int> result;
    for (const auto& entry : cut.entries) result.push_back(static_cast<Item&>(*entry).value);
    return result;
  }
  int live_ = 0;
};

TEST_F(OpLogTest, CutOfNothingIsEmptyAndRaisesTheFloor) {
  OpLog log;
  const OpLog::Cut first = log.cut();
  EXPECT_TRUE(first.entries.empty());
  EXPECT_GE(log.floor(), first.upto);
  EXPECT_GT(put(log, 0, 1), first.upto);
}

TEST_F(OpLogTest, MergesSlotsInOrderOfStamps) {
  OpLog log;
  for (int i = 0; i < 100; ++i) put(log, (i * 7) % 4, i, log.floor());
  const OpLog::Cut cut = log.cut();
  ASSERT_EQ(cut.entries.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(values(cut)[i], i);
  for (size_t i = 1; i < cut.entries.size(); ++i)
    EXPECT_LT(cut.entries[i - 1]->stamp, cut.entries[i]->stamp);
  EXPECT_LE(cut.entries.back()->stamp, cut.upto);
  EXPECT_TRUE(log.cut().entries.empty());
}

TEST_F(OpLogTest, StampIsAboveEverythingPassedInAndTheSlotsLast) {
  OpLog log;
  set_cycle_skew_for_test(1, -1'000'000'000'000'000);
  const Stamp high = put(log, 0, 1, cycle_now() + 1'000'000'000'000);
  EXPECT_GT(put(log, 0, 2), high);
  EXPECT_GT(put(log, 1, 3, high), high);  // through a lock, whatever the clock says
  const OpLog::Cut cut = log.cut();
  EXPECT_GE(cut.upto, high);
  EXPECT_EQ(values(cut).front(), 1);
  EXPECT_GT(put(log, 1, 4), cut.upto);  // the floor, although this core's clock is far behind
}

TEST_F(OpLogTest, TiesBreakBySlotThenSequence) {
  OpLog log;
  for (int core = 0; core < 4; ++core) set_cycle_skew_for_test(core, -(int64_t{1} << 62));
  // Every clock stands at 1 now, so all first stamps are equal.
  for (int core = 3; core >= 0; --core) {
    set_thread_core(core);
    OpLog::Slot slot(log);
    EXPECT_EQ(slot.stamp(1), 2u);
    slot.append(std::make_unique<Item>(core * 10));
    slot.append(std::make_unique<Item>(core * 10 + 1));
  }
  EXPECT_EQ(values(log.cut()), (std::vector<int>{0, 1, 10, 11, 20, 21, 30, 31}));
}

TEST_F(OpLogTest, CountsDepthAndCost) {
  OpLog log;
  put(log, 0, 1, 0, 100);
  put(log, 1, 2, 0, 20);
  put(log, 1, 3, 0, 3);
  EXPECT_EQ(log.depth(), 3u);
  EXPECT_EQ(log.depth_of(1), 2u);
  EXPECT_EQ(log.depth_of(1000), 0u);
  EXPECT_EQ(log.cost_bytes(), 123u);
  (void)log.cut();
  EXPECT_EQ(log.depth(), 0u);
  EXPECT_EQ(log.cost_bytes(), 0u);
}

TEST_F(OpLogTest, BusySlotIsAvoided) {
  OpLog log;
  set_thread_core(2);
  OpLog::Slot held(log);
  const Stamp first = held.stamp(0);
  {
    OpLog::Slot other(log);  // would deadlock on core 2's slot
    EXPECT_GT(other.stamp(first), first);
    other.append(std::make_unique<Item>(2));
  }
  EXPECT_EQ(log.depth_of(2), 0u);
  EXPECT_EQ(log.depth_of(3), 1u);
  held.append(std::make_unique<Item>(1));
}

TEST_F(OpLogTest, FreesWhatNoCutTook) {
  {
    OpLog log;
    for (int i = 0; i < 10; ++i) put(log, i % 4, i);
    EXPECT_EQ(live_, 10);
  }
  EXPECT_EQ(live_, 0);
  {
    OpLog log;
    for (int i = 0; i < 10; ++i) put(log, i % 4, i);
    const OpLog::Cut cut = log.cut();
    EXPECT_EQ(live_, 10);
  }
  EXPECT_EQ(live_, 0);
}

TEST_F(OpLogTest, SharedCounterClockWorksToo) {
  use_shared_counter_for_test(true);
  OpLog log;
  for (int i = 0; i < 20; ++i) put(log, i % 4, i);
  const OpLog::Cut cut = log.cut();
  ASSERT_EQ(cut.entries.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(values(cut)[i], i);
  use_shared_counter_for_test(false);
}

}  // namespace
}  // namespace scalefs::oplog
