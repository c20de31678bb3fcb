#include "diskfs/space_map.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "base/random.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"

namespace scalefs::diskfs {
namespace {

class SpaceMapTest : public ::testing::Test {
 protected:
  SpaceMapTest() {
    GeometryChoice choice;
    choice.tiny = true;
    choice.group_blocks = 256;
    sb_.geometry = *choose_geometry(kBlocks, choice);
    sb_.uuid[0] = 7;
    map_ = SpaceMap::make_empty(sb_.geometry, sb_.uuid);
    first_ = sb_.geometry.data_first;
  }
  // One checkpoint: the superblock that names the maps becomes "durable".
  void checkpoint() {
    ++sb_.generation;
    auto ref = map_->write(device_, sb_.generation);
    ASSERT_TRUE(ref.ok());
    sb_.table = *ref;
    sb_.free_blocks = map_->free_blocks();
    map_->committed();
  }
  Result<std::unique_ptr<SpaceMap>> load() { return SpaceMap::load(device_, sb_, &why_); }

  static constexpr uint64_t kBlocks = 4000;  // the last group is short
  MemoryDevice device_{kBlocks};
  Superblock sb_;
  std::unique_ptr<SpaceMap> map_;
  uint64_t first_ = 0;
  std::string why_;
};

TEST_F(SpaceMapTest, EmptyVolume) {
  const Geometry& g = sb_.geometry;
  EXPECT_EQ(map_->free_blocks(), g.data_blocks());
  EXPECT_TRUE(map_->test(BlockNo(0)));
  EXPECT_TRUE(map_->test(BlockNo(first_ - 1)));
  EXPECT_FALSE(map_->test(BlockNo(first_)));
  EXPECT_FALSE(map_->test(BlockNo(g.data_end - 1)));
  EXPECT_TRUE(map_->test(BlockNo(g.data_end)));
  EXPECT_EQ(map_->changed_groups(), 0u);
  EXPECT_EQ(map_->write_blocks_bound(), g.table_blocks);
  checkpoint();
  auto again = load();
  ASSERT_TRUE(again.ok()) << why_;
  EXPECT_EQ((*again)->free_blocks(), g.data_blocks());
  EXPECT_EQ((*again)->changed_groups(), 0u);
}

TEST_F(SpaceMapTest, SettingTwiceAndClearingTwiceIsCorruption) {
  ASSERT_TRUE(map_->set({BlockNo(first_ + 10), 5}).ok());
  EXPECT_EQ(map_->set({BlockNo(first_ + 14), 1}).code(), EUCLEAN);
  EXPECT_EQ(map_->clear({BlockNo(first_ + 15), 1}).code(), EUCLEAN);
  ASSERT_TRUE(map_->clear({BlockNo(first_ + 12), 1}).ok());
  EXPECT_EQ(map_->clear({BlockNo(first_ + 12), 1}).code(), EUCLEAN);
}

TEST_F(SpaceMapTest, RunsOutsideTheDataAreaAreCorruption) {
  EXPECT_EQ(map_->set({BlockNo(first_ - 1), 1}).code(), EUCLEAN);
  EXPECT_EQ(map_->clear({BlockNo(3), 1}).code(), EUCLEAN);
  EXPECT_EQ(map_->set({BlockNo(sb_.geometry.data_end - 1), 2}).code(), EUCLEAN);
  EXPECT_EQ(map_->set({BlockNo(first_), UINT64_MAX}).code(), EUCLEAN);
  EXPECT_EQ(map_->set({BlockNo(UINT64_MAX), 1}).code(), EUCLEAN);
}

TEST_F(SpaceMapTest, OnlyChangedGroupsAreWritten) {
  checkpoint();
  FaultDevice counting(device_);
  ASSERT_TRUE(map_->write(counting, 2).ok());
  EXPECT_EQ(counting.calls(FaultDevice::Call::write), 0u);
  EXPECT_EQ(map_->write_blocks_bound(), 0u);
  ASSERT_TRUE(map_->set({BlockNo(1000), 3}).ok());
  EXPECT_EQ(map_->changed_groups(), 1u);
  EXPECT_EQ(map_->write_blocks_bound(), 1 + sb_.geometry.table_blocks);
  ASSERT_TRUE(map_->write(counting, 2).ok());
  EXPECT_EQ(counting.blocks(FaultDevice::Call::write), map_->write_blocks_bound());
}

TEST_F(SpaceMapTest, RunOverAGroupBoundary) {
  ASSERT_TRUE(map_->set({BlockNo(1020), 10}).ok());
  checkpoint();
  auto again = load();
  ASSERT_TRUE(again.ok()) << why_;
  for (uint64_t b = 1018; b < 1032; ++b) {
    EXPECT_EQ((*again)->test(BlockNo(b)), b >= 1020 && b < 1030) << b;
  }
}

TEST_F(SpaceMapTest, SixtyFourAtOnce) {
  for (uint64_t block = first_; block < sb_.geometry.data_end; block += 1 + block % 5) {
    ASSERT_TRUE(map_->set({BlockNo(block), 1}).ok());
  }
  for (uint64_t at = 0; at < kBlocks; at += 64) {
    const uint64_t bits = map_->test_64(BlockNo(at));
    for (uint64_t i = 0; i < 64; ++i) {
      EXPECT_EQ(bits >> i & 1, at + i >= kBlocks || map_->test(BlockNo(at + i)) ? 1u : 0u) << at + i;
    }
  }
}

TEST_F(SpaceMapTest, OldSuperblockStaysWholeUntilTheNewOneIsDurable) {
  ASSERT_TRUE(map_->set({BlockNo(1000), 100}).ok());
  checkpoint();
  Superblock old = sb_;
  uint64_t seed = 17;
  Random random(seed);
  std::set<uint64_t> used;
  for (uint64_t b = 1000; b < 1100; ++b) used.insert(b);
  for (int round = 0; round < 30; ++round) {
    std::set<uint64_t> before = used;
    for (int i = 0; i < 40; ++i) {
      uint64_t b = random.between(first_, sb_.geometry.data_end - 1);
      ASSERT_TRUE((used.count(b) ? map_->clear({BlockNo(b), 1}) : map_->set({BlockNo(b), 1})).ok());
      if (!used.insert(b).second) used.erase(b);
    }
    // The maps are written, perhaps twice, but the superblock never was: the old state loads.
    ASSERT_TRUE(map_->write(device_, sb_.generation + 1).ok());
    if (random.percent(50)) {
      ASSERT_TRUE(map_->write(device_, sb_.generation + 1).ok());
    }
    auto loaded = load();
    ASSERT_TRUE(loaded.ok()) << why_ << " round " << round << " seed " << seed;
    for (uint64_t b = first_; b < sb_.geometry.data_end; ++b) {
      ASSERT_EQ((*loaded)->test(BlockNo(b)), before.count(b) == 1) << b << " seed " << seed;
    }
    checkpoint();
    loaded = load();
    ASSERT_TRUE(loaded.ok()) << why_;
    ASSERT_EQ((*loaded)->free_blocks(), sb_.geometry.data_blocks() - used.size());
    if (random.percent(50)) map_ = std::move(*loaded);
  }
}

TEST_F(SpaceMapTest, FailedWriteCanBeRepeated) {
  checkpoint();
  FaultDevice fault(device_);
  ASSERT_TRUE(map_->set({BlockNo(1000), 1}).ok());
  ASSERT_TRUE(map_->set({BlockNo(2000), 1}).ok());
  for (uint64_t n = 1; n <= 3; ++n) {
    fault.fail(FaultDevice::Call::write, n, EIO);
    EXPECT_EQ(map_->write(fault, 2).code(), EIO);
    fault.clear();
    auto loaded = load();
    ASSERT_TRUE(loaded.ok()) << why_;
    EXPECT_FALSE((*loaded)->test(BlockNo(1000)));
  }
  checkpoint();
  auto loaded = load();
  ASSERT_TRUE(loaded.ok()) << why_;
  EXPECT_TRUE((*loaded)->test(BlockNo(1000)));
  EXPECT_TRUE((*loaded)->test(BlockNo(2000)));
}

TEST_F(SpaceMapTest, AnyDamageIsFound) {
  const Geometry& g = sb_.geometry;
  for (uint64_t group = 0; group < g.group_count; ++group) {
    uint64_t block = std::max(g.data_first, group * g.group_blocks + 20);
    ASSERT_TRUE(map_->set({BlockNo(block), 100}).ok());
  }
  checkpoint();
  auto damaged = [&](uint64_t block, size_t offset) {
    AlignedBuffer bytes(kBlockBytes);
    EXPECT_TRUE(device_.read(BlockNo(block), bytes.span()).ok());
    bytes.data()[offset] ^= std::byte{4};
    EXPECT_TRUE(device_.write(BlockNo(block), bytes.span()).ok());
    int code = load().code();
    bytes.data()[offset] ^= std::byte{4};
    EXPECT_TRUE(device_.write(BlockNo(block), bytes.span()).ok());
    return code;
  };
  for (size_t offset : {0, 4, 8, 24, 32, 40, 64, 72, 76, 79, 4095}) {
    EXPECT_EQ(damaged(g.table_first[sb_.table.copy], offset), EUCLEAN) << offset;
  }
  for (uint64_t group = 0; group < g.group_count; ++group) {
    // A map's first writing goes to copy 1.
    EXPECT_EQ(damaged(g.map_first(group, 1), group * 31 % kBlockBytes), EUCLEAN) << group;
    EXPECT_EQ(damaged(g.map_first(group, 0), 5), 0) << group;
  }
}

TEST_F(SpaceMapTest, MapThatFreesFixedBlocksIsRefused) {
  ASSERT_TRUE(map_->set({BlockNo(first_), 1}).ok());
  checkpoint();
  // Block 3 of the superblock area becomes "free", with every checksum and count made right.
  const Geometry& g = sb_.geometry;
  AlignedBuffer bits(kBlockBytes), table(g.table_blocks * kBlockBytes);
  ASSERT_TRUE(device_.read(BlockNo(g.map_first(0, 1)), bits.span()).ok());
  bits.data()[0] ^= std::byte{8};
  ASSERT_TRUE(device_.write(BlockNo(g.map_first(0, 1)), bits.span()).ok());
  ASSERT_TRUE(device_.read(BlockNo(g.table_first[sb_.table.copy]), table.span()).ok());
  auto* entry = reinterpret_cast<RawTableEntry*>(table.data() + kTableHeaderBytes);
  entry->crc = crc32c(bits.data(), kBlockBytes);
  entry->copy_and_free += 1;
  ASSERT_TRUE(device_.write(BlockNo(g.table_first[sb_.table.copy]), table.span()).ok());
  sb_.table.crc = crc32c(table.data(), table.size());
  sb_.free_blocks += 1;
  EXPECT_EQ(load().code(), EUCLEAN);
  EXPECT_NE(why_.find("hold no data"), std::string::npos) << why_;
}

TEST_F(SpaceMapTest, BlankGroupsMustLookBlank) {
  checkpoint();
  const Geometry& g = sb_.geometry;
  AlignedBuffer table(g.table_blocks * kBlockBytes);
  BlockNo at(g.table_first[sb_.table.copy]);
  ASSERT_TRUE(device_.read(at, table.span()).ok());
  auto* entry = reinterpret_cast<RawTableEntry*>(table.data() + kTableHeaderBytes) + 3;
  auto code_with = [&](uint32_t crc, uint32_t copy_and_free) {
    RawTableEntry kept = *entry;
    entry->crc = crc;
    entry->copy_and_free = copy_and_free;
    EXPECT_TRUE(device_.write(at, table.span()).ok());
    sb_.table.crc = crc32c(table.data(), table.size());
    *entry = kept;
    return load().code();
  };
  EXPECT_EQ(code_with(0, 256), 0);
  EXPECT_EQ(code_with(1, 256), EUCLEAN);
  EXPECT_EQ(code_with(0, 255), EUCLEAN);
  EXPECT_EQ(code_with(0, 256 | kGroupCopyBit), EUCLEAN);
}

TEST(SpaceMap, LargeEmptyVolumeCostsOnlyItsTable) {
  Superblock sb;
  sb.geometry = *choose_geometry(uint64_t{1} << 28);  // 1 TiB
  sb.generation = 1;
  MemoryDevice device(sb.geometry.block_count);
  auto map = SpaceMap::make_empty(sb.geometry, sb.uuid);
  sb.table = *map->write(device, 1);
  sb.free_blocks = map->free_blocks();
  EXPECT_EQ(sb.free_blocks, sb.geometry.data_blocks());
  EXPECT_EQ(device.blocks_stored(), sb.geometry.table_blocks);
  std::string why;
  EXPECT_TRUE(SpaceMap::load(device, sb, &why).ok()) << why;
}

TEST_F(SpaceMapTest, UnreadableMapIsAnIoError) {
  ASSERT_TRUE(map_->set({BlockNo(600), 1}).ok());
  checkpoint();
  FaultDevice fault(device_);
  fault.fail_block(BlockNo(sb_.geometry.map_first(2, 1)), EIO);
  EXPECT_EQ(SpaceMap::load(fault, sb_, &why_).code(), EIO);
  EXPECT_NE(why_.find("group 2"), std::string::npos) << why_;
}

TEST(SpaceMap, GroupsOfSeveralMapBlocks) {
  Superblock sb;
  sb.geometry = *make_geometry(200'000, 65536, 256);
  ASSERT_EQ(sb.geometry.map_blocks, 2u);
  sb.generation = 1;
  MemoryDevice device(200'000);
  auto map = SpaceMap::make_empty(sb.geometry, sb.uuid);
  ASSERT_TRUE(map->set({BlockNo(65530), 12}).ok());
  ASSERT_TRUE(map->set({BlockNo(100'000), 1}).ok());
  sb.table = *map->write(device, 1);
  sb.free_blocks = map->free_blocks();
  std::string why;
  auto again = SpaceMap::load(device, sb, &why);
  ASSERT_TRUE(again.ok()) << why;
  EXPECT_TRUE((*again)->test(BlockNo(65541)));
  EXPECT_FALSE((*again)->test(BlockNo(65542)));
  EXPECT_TRUE((*again)->test(BlockNo(100'000)));
  EXPECT_EQ((*again)->free_blocks(), sb.geometry.data_blocks() - 13);
}

}  // namespace
}  // namespace scalefs::diskfs
