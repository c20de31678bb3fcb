#include "diskfs/geometry.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kMiB = (uint64_t{1} << 20) / kBlockBytes;

void expect_consistent(const Geometry& g) {
  EXPECT_EQ(g.journal_first, kSuperblockAreaBlocks);
  EXPECT_EQ(g.table_first[0], g.journal_first + g.journal_blocks);
  EXPECT_EQ(g.table_first[1], g.table_first[0] + g.table_blocks);
  EXPECT_EQ(g.maps_first, g.table_first[1] + g.table_blocks);
  EXPECT_EQ(g.map_first(g.group_count, 0), g.data_first);
  EXPECT_EQ(g.data_end, g.block_count - 2);
  EXPECT_GE(g.table_blocks * kTableEntriesPerBlock, g.group_count);
  EXPECT_GE(g.map_blocks * kBlockBytes * 8, g.group_blocks);
  EXPECT_LE(g.group_count, kGroupsMax);
  EXPECT_GE(g.data_blocks(), kDataBlocksMin);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < g.group_count; ++i) {
    EXPECT_GT(g.blocks_in_group(i), 0u);
    sum += g.blocks_in_group(i);
  }
  EXPECT_EQ(sum, g.block_count);
  EXPECT_EQ(g.blocks_in_group(g.group_count), 0u);
}

TEST(Geometry, SmallestVolume) {
  auto g = choose_geometry(16 * kMiB);
  ASSERT_TRUE(g);
  expect_consistent(*g);
  EXPECT_EQ(g->journal_blocks, 256u);
  EXPECT_EQ(g->group_count, 1u);
  EXPECT_EQ(g->data_first, 16u + 256 + 2 + 2);
  EXPECT_FALSE(choose_geometry(16 * kMiB - 1));
  EXPECT_FALSE(choose_geometry(0));
}

TEST(Geometry, LargestVolumeHasFewEnoughGroups) {
  uint64_t blocks = kVolumeBytesMax / kBlockBytes;
  auto g = choose_geometry(blocks);
  ASSERT_TRUE(g);
  expect_consistent(*g);
  EXPECT_EQ(g->group_count, kGroupsMax);
  EXPECT_EQ(g->journal_blocks, kJournalBlocksMax);
  EXPECT_EQ(g->map_blocks, 64u);
  EXPECT_FALSE(choose_geometry(blocks + 1));
  EXPECT_FALSE(choose_geometry(UINT64_MAX));
}

TEST(Geometry, JournalFollowsTheSize) {
  EXPECT_EQ(choose_geometry(16 * kMiB)->journal_blocks, 1 * kMiB);
  EXPECT_EQ(choose_geometry(64 * kMiB)->journal_blocks, 4 * kMiB);
  EXPECT_EQ(choose_geometry(1024 * kMiB)->journal_blocks, 64 * kMiB);
  EXPECT_EQ(choose_geometry(4096 * kMiB)->journal_blocks, 64 * kMiB);
  EXPECT_EQ(choose_geometry(6144 * kMiB)->journal_blocks, 96 * kMiB);
  EXPECT_EQ(choose_geometry(8192 * kMiB)->journal_blocks, 128 * kMiB);
  EXPECT_EQ(choose_geometry(16384 * kMiB)->journal_blocks, 128 * kMiB);
  EXPECT_EQ(choose_geometry(256 * 1024 * kMiB)->group_blocks, kGroupBlocksDefault);
}

TEST(Geometry, TinyVolumesOnlyWhenAskedFor) {
  EXPECT_FALSE(choose_geometry(kMiB));
  GeometryChoice tiny;
  tiny.tiny = true;
  auto g = choose_geometry(kMiB, tiny);
  ASSERT_TRUE(g);
  expect_consistent(*g);
  EXPECT_EQ(g->journal_blocks, 32u);
  tiny.group_blocks = 64;
  tiny.journal_blocks = 16;
  g = choose_geometry(kMiB, tiny);
  ASSERT_TRUE(g);
  expect_consistent(*g);
  EXPECT_EQ(g->group_count, 4u);
  EXPECT_FALSE(choose_geometry(kMiB - 1, tiny));
}

TEST(Geometry, RefusesIllegalNumbers) {
  EXPECT_TRUE(make_geometry(4096, 32768, 256));
  EXPECT_FALSE(make_geometry(4096, 32767, 256));
  EXPECT_FALSE(make_geometry(4096, 0, 256));
  EXPECT_FALSE(make_geometry(4096, 32, 256));
  EXPECT_FALSE(make_geometry(4096, kGroupBlocksMax * 2, 256));
  EXPECT_FALSE(make_geometry(4096, 32768, 0));
  EXPECT_FALSE(make_geometry(4096, 32768, kJournalBlocksMax + 1));
  EXPECT_FALSE(make_geometry(4096, 32768, 4090));
  EXPECT_FALSE(make_geometry(uint64_t{1} << 34, 64, 256));
  EXPECT_FALSE(make_geometry(UINT64_MAX, 32768, 256));
}

TEST(Geometry, DataRunsStayInTheDataArea) {
  auto g = *choose_geometry(16 * kMiB);
  EXPECT_FALSE(g.is_data(0));
  EXPECT_FALSE(g.is_data(g.data_first - 1));
  EXPECT_TRUE(g.is_data(g.data_first));
  EXPECT_TRUE(g.is_data(g.data_end - 1));
  EXPECT_FALSE(g.is_data(g.data_end));
  EXPECT_TRUE(g.is_data_run(g.data_first, g.data_blocks()));
  EXPECT_FALSE(g.is_data_run(g.data_first, g.data_blocks() + 1));
  EXPECT_FALSE(g.is_data_run(g.data_first, UINT64_MAX));
  EXPECT_FALSE(g.is_data_run(g.data_first, 0));
  EXPECT_FALSE(g.is_data_run(UINT64_MAX, 2));
}

TEST(Geometry, AnySizeIsConsistent) {
  uint64_t seed = 5;
  Random random(seed);
  for (int i = 0; i < 300; ++i) {
    uint64_t blocks = random.between(16 * kMiB, uint64_t{1} << random.between(13, 34));
    auto g = choose_geometry(blocks);
    ASSERT_TRUE(g) << blocks << " blocks, seed " << seed;
    expect_consistent(*g);
  }
}

}  // namespace
}  // namespace scalefs::diskfs
