#include "base/memory.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/core.h"

namespace scalefs {
namespace {

class MemoryTest : public ::testing::Test {
 protected:
  void TearDown() override {
    set_core_count_for_test(real_count_);
    set_thread_core(-1);
  }
  uint32_t real_count_ = core_count();
};

TEST_F(MemoryTest, EveryClassHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int c = 0; c < static_cast<int>(MemoryClass::count); ++c)
    names.insert(memory_class_name(static_cast<MemoryClass>(c)));
  EXPECT_EQ(names.size(), static_cast<size_t>(MemoryClass::count));
  EXPECT_EQ(names.count("?"), 0u);
}

TEST_F(MemoryTest, SumsOverCoresAndClasses) {
  set_core_count_for_test(1000);
  const int64_t pages = memory_bytes(MemoryClass::page);
  const int64_t names = memory_bytes(MemoryClass::name);
  const int64_t total = memory_bytes_total();
  for (int32_t core : {0, 1, 63, 999}) {
    set_thread_core(core);
    memory_count(MemoryClass::page, 4096);
  }
  memory_count(MemoryClass::name, 10);
  EXPECT_EQ(memory_bytes(MemoryClass::page), pages + 4 * 4096);
  EXPECT_EQ(memory_bytes(MemoryClass::name), names + 10);
  EXPECT_EQ(memory_bytes_total(), total + 4 * 4096 + 10);
}

TEST_F(MemoryTest, WhatOneCoreAddsAnotherMayTakeAway) {
  set_core_count_for_test(8);
  const int64_t before = memory_bytes(MemoryClass::mnode);
  set_thread_core(2);
  memory_count(MemoryClass::mnode, 100);
  set_thread_core(5);
  memory_count(MemoryClass::mnode, -100);
  EXPECT_EQ(memory_bytes(MemoryClass::mnode), before);
  // Also when the number of cores has shrunk since.
  set_thread_core(7);
  memory_count(MemoryClass::mnode, 3);
  set_core_count_for_test(2);
  EXPECT_EQ(memory_bytes(MemoryClass::mnode), before + 3);
  memory_count(MemoryClass::mnode, -3);
  EXPECT_EQ(memory_bytes(MemoryClass::mnode), before);
}

TEST_F(MemoryTest, CountsOfThreadsOnOneSlotAreNotLost) {
  set_core_count_for_test(1);
  const int64_t before = memory_bytes(MemoryClass::oplog);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 10'000; ++i) memory_count(MemoryClass::oplog, 1);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memory_bytes(MemoryClass::oplog), before + 40'000);
}

}  // namespace
}  // namespace scalefs
