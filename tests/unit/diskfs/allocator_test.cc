#include "diskfs/allocator.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/core.h"
#include "base/random.h"

namespace scalefs::diskfs {
namespace {

bool none(uint64_t) { return false; }

TEST(Allocator, GivesOutEachBlockOnceAndThenEnospc) {
  uint64_t seed = 21;
  Random random(seed);
  Allocator allocator(1000, 256, [](uint64_t b) { return b < 10 || b >= 998; });
  EXPECT_EQ(allocator.free_blocks(), 988u);
  std::set<uint64_t> given;
  while (true) {
    uint64_t want = random.between(1, 50);
    auto run = allocator.allocate(static_cast<uint32_t>(random.below(4)), want);
    if (!run.ok()) {
      EXPECT_EQ(run.code(), ENOSPC);
      break;
    }
    ASSERT_GE(run->count, 1u);
    ASSERT_LE(run->count, want);
    for (uint64_t b = run->first.v; b < run->first.v + run->count; ++b) {
      ASSERT_TRUE(given.insert(b).second) << b << " seed " << seed;
      ASSERT_TRUE(b >= 10 && b < 998);
    }
  }
  EXPECT_EQ(given.size(), 988u);
  EXPECT_EQ(allocator.free_blocks(), 0u);
  allocator.free({BlockNo(500), 3});
  auto run = allocator.allocate(0, 8);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->first.v, 500u);
  EXPECT_EQ(run->count, 3u);
}

TEST(Allocator, LargeRunsAreContiguousOnAnEmptyVolume) {
  Allocator allocator(4096, 1024, none);
  for (int i = 0; i < 4; ++i) {
    auto run = allocator.allocate(0, 1024);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->count, 1024u);
  }
}

TEST(Allocator, PrefersALongRunToTheFirstHole) {
  Allocator allocator(1024, 1024, none);
  ASSERT_TRUE(allocator.allocate(0, 1024).ok());
  allocator.free({BlockNo(10), 2});
  allocator.free({BlockNo(100), 16});
  auto run = allocator.allocate(0, 16);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->first.v, 100u);
  EXPECT_EQ(run->count, 16u);
}

TEST(Allocator, CoresUseGroupsOfTheirOwn) {
  uint32_t cores = core_count();
  set_core_count_for_test(4);
  Allocator four(4096, 1024, none);
  set_core_count_for_test(cores);
  for (uint32_t core = 0; core < 4; ++core) {
    auto run = four.allocate(core, 4);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->first.v / 1024, core);
  }
}

TEST(Allocator, TakeIsIdempotentAndSpansGroups) {
  Allocator allocator(1024, 256, none);
  allocator.take({BlockNo(250), 20});
  allocator.take({BlockNo(255), 30});
  EXPECT_EQ(allocator.free_blocks(), 1024u - 35);
  EXPECT_FALSE(allocator.is_taken(BlockNo(249)));
  EXPECT_TRUE(allocator.is_taken(BlockNo(250)));
  EXPECT_TRUE(allocator.is_taken(BlockNo(284)));
  EXPECT_FALSE(allocator.is_taken(BlockNo(285)));
  allocator.free({BlockNo(250), 35});
  EXPECT_EQ(allocator.free_blocks(), 1024u);
}

TEST(AllocatorDeathTest, DoubleFreeAndForeignBlocksStopTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Allocator allocator(1000, 256, none);
  allocator.take({BlockNo(5), 1});
  EXPECT_DEATH(allocator.free({BlockNo(4), 2}), "");
  EXPECT_DEATH(allocator.free({BlockNo(999), 2}), "");
}

TEST(Allocator, ThreadsNeverShareABlock) {
  constexpr int kThreads = 4;
  Allocator allocator(8192, 512, none);
  std::vector<std::vector<uint64_t>> held(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(t + 1);
      std::vector<BlockRun> runs;
      for (int i = 0; i < 2000; ++i) {
        if (random.percent(60)) {
          auto run = allocator.allocate(static_cast<uint32_t>(t), random.between(1, 16));
          if (run.ok()) runs.push_back(*run);
        } else if (!runs.empty()) {
          size_t pick = random.below(runs.size());
          allocator.free(runs[pick]);
          runs.erase(runs.begin() + static_cast<long>(pick));
        }
      }
      for (BlockRun run : runs) {
        for (uint64_t b = 0; b < run.count; ++b) held[t].push_back(run.first.v + b);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> all;
  size_t total = 0;
  for (const auto& blocks : held) {
    total += blocks.size();
    all.insert(blocks.begin(), blocks.end());
  }
  EXPECT_EQ(all.size(), total);
  EXPECT_EQ(allocator.free_blocks(), 8192 - total);
}

}  // namespace
}  // namespace scalefs::diskfs
