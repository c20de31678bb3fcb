#include "base/core.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace scalefs {
namespace {

class CoreTest : public ::testing::Test {
 protected:
  void TearDown() override {
    set_core_count_for_test(real_count_);
    set_thread_core(-1);
  }
  uint32_t real_count_ = core_count();
};

TEST_F(CoreTest, RealCoreIsBelowTheCount) {
  EXPECT_GE(core_count(), 1u);
  EXPECT_LE(core_count(), kCoresMax);
  EXPECT_LT(current_core(), core_count());
}

TEST_F(CoreTest, FakesManyCoresOnAnyMachine) {
  set_core_count_for_test(128);
  EXPECT_EQ(core_count(), 128u);
  for (int32_t core : {0, 5, 127}) {
    set_thread_core(core);
    EXPECT_EQ(current_core(), static_cast<uint32_t>(core));
  }
  set_thread_core(130);  // slots are shared beyond the count
  EXPECT_EQ(current_core(), 2u);
}

TEST_F(CoreTest, AThreadsCoreIsItsOwn) {
  set_core_count_for_test(16);
  set_thread_core(3);
  uint32_t seen = 0;
  std::thread([&] {
    set_thread_core(9);
    seen = current_core();
  }).join();
  EXPECT_EQ(seen, 9u);
  EXPECT_EQ(current_core(), 3u);
}

TEST_F(CoreTest, ACountOfOneHasOneSlot) {
  set_core_count_for_test(1);
  EXPECT_EQ(current_core(), 0u);
  set_thread_core(7);
  EXPECT_EQ(current_core(), 0u);
}

TEST_F(CoreTest, PerCoreItemsShareNoLine) {
  set_core_count_for_test(64);
  PerCore<int> items;
  ASSERT_EQ(items.size(), 64u);
  std::set<uintptr_t> lines;
  for (uint32_t core = 0; core < items.size(); ++core) {
    EXPECT_EQ(items.at(core), 0);
    lines.insert(reinterpret_cast<uintptr_t>(&items.at(core)) / kFalseSharingBytes);
  }
  EXPECT_EQ(lines.size(), 64u);
}

TEST_F(CoreTest, PerCoreKeepsItsSizeWhenTheCountGrows) {
  set_core_count_for_test(4);
  PerCore<int> items;
  set_core_count_for_test(32);
  set_thread_core(30);
  items.mine() = 5;
  EXPECT_EQ(items.size(), 4u);
  EXPECT_EQ(items.at(30 % 4), 5);
}

}  // namespace
}  // namespace scalefs
