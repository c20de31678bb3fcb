#include "diskfs/format.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <vector>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "diskfs/crash_image.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "diskfs/node_store.h"
#include "diskfs/recording_device.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = kVolumeBytesMin / kBlockBytes;

FormatOptions fixed() {
  FormatOptions options;
  options.label = "first";
  options.uuid = Uuid{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  options.hash_key = HashKey{5, 6};
  options.time_ns = 1'000'000'007;
  return options;
}

void fill(BlockDevice& device, uint64_t seed) {
  Random random(seed);
  AlignedBuffer buffer(64 * kBlockBytes);
  for (uint64_t b = 0; b < device.block_count(); b += 64) {
    for (size_t i = 0; i < buffer.size(); i += 8) {
      store_le<uint64_t>(buffer.data() + i, random.next());
    }
    uint64_t count = std::min<uint64_t>(64, device.block_count() - b);
    ASSERT_TRUE(device.write(BlockNo(b), buffer.span().first(count * kBlockBytes)).ok());
  }
}

std::vector<std::byte> content(BlockDevice& device) {
  std::vector<std::byte> bytes(device.block_count() * kBlockBytes);
  EXPECT_TRUE(device.read(BlockNo(0), bytes).ok());
  return bytes;
}

TEST(Format, EmptyVolumeHasItsRootDirectory) {
  MemoryDevice device(kBlocks);
  std::string why;
  auto made = format(device, fixed(), &why);
  ASSERT_TRUE(made.ok()) << why;
  auto sb = read_newest_superblock(device, &why);
  ASSERT_TRUE(sb.ok()) << why;
  EXPECT_EQ(sb->label, "first");
  EXPECT_EQ(sb->uuid, made->uuid);
  EXPECT_EQ(sb->geometry, made->geometry);
  EXPECT_EQ(sb->generation, 1u);
  EXPECT_EQ(sb->inode_count, 1u);
  EXPECT_EQ(sb->created_ns, 1'000'000'007);
  EXPECT_EQ(sb->free_blocks, sb->geometry.data_blocks() - 1);
  EXPECT_EQ(made->free_blocks, sb->free_blocks);
  auto map = SpaceMap::load(device, *sb, &why);
  ASSERT_TRUE(map.ok()) << why;
  EXPECT_TRUE((*map)->test(sb->root.block));
  NodeStore store(device, sb->uuid.data(), sb->hash_key);
  TreeReader reader(store, sb->root);
  auto root = reader.inode(kRootIno);
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->mode, static_cast<uint32_t>(S_IFDIR | 0755));
  EXPECT_EQ(root->mnode, kRootMnode);
  EXPECT_EQ(root->parent_ino, kRootIno);
  EXPECT_EQ(root->nlink, 2u);
  EXPECT_EQ(root->btime_ns, 1'000'000'007);
  EXPECT_EQ(root->uid + root->gid, 0u);
  auto names = reader.list(kRootIno, 0, 10);
  ASSERT_TRUE(names.ok());
  EXPECT_TRUE(names->entries.empty());
}

TEST(Format, EverySuperblockPlaceIsFilled) {
  MemoryDevice device(kBlocks);
  std::string why;
  ASSERT_TRUE(format(device, fixed(), &why).ok()) << why;
  SuperblockScan scan = scan_superblocks(device);
  ASSERT_EQ(scan.copies.size(), 10u);
  for (const SuperblockCopy& copy : scan.copies) EXPECT_EQ(copy.error, 0) << copy.block;
}

TEST(Format, SameOptionsMakeTheSameImage) {
  MemoryDevice one(kBlocks), two(kBlocks);
  fill(two, 1);
  std::string why;
  ASSERT_TRUE(format(one, fixed(), &why).ok()) << why;
  ASSERT_TRUE(format(two, fixed(), &why).ok()) << why;
  EXPECT_EQ(content(one), content(two));
}

TEST(Format, WithoutDiscardNothingOldIsLeftWhereItMatters) {
  MemoryDevice device(kBlocks);
  fill(device, 1);
  FormatOptions options = fixed();
  options.discard = false;
  std::string why;
  auto made = format(device, options, &why);
  ASSERT_TRUE(made.ok()) << why;
  const Geometry& g = made->geometry;
  auto zeros = [&](uint64_t first, uint64_t count) {
    std::vector<std::byte> bytes(count * kBlockBytes);
    EXPECT_TRUE(device.read(BlockNo(first), bytes).ok());
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  };
  EXPECT_TRUE(zeros(0, 1));
  EXPECT_TRUE(zeros(9, 7));
  EXPECT_TRUE(zeros(g.journal_first, g.journal_blocks));
  EXPECT_TRUE(zeros(g.data_end - 100, 100));
  EXPECT_FALSE(zeros(2000, 100));
}

TEST(Format, RandomKeyAndUuidDiffer) {
  MemoryDevice one(kBlocks), two(kBlocks);
  std::string why;
  ASSERT_TRUE(format(one, {}, &why).ok()) << why;
  ASSERT_TRUE(format(two, {}, &why).ok()) << why;
  auto first = read_newest_superblock(one, &why);
  auto second = read_newest_superblock(two, &why);
  ASSERT_TRUE(first.ok() && second.ok()) << why;
  EXPECT_NE(first->uuid, second->uuid);
  EXPECT_NE(first->hash_key, second->hash_key);
  EXPECT_EQ(first->uuid[6] >> 4, 4);
  EXPECT_EQ(first->uuid[8] >> 6, 2);
}

TEST(Format, DryRunWritesNothing) {
  MemoryDevice device(kBlocks);
  device.set_read_only(true);
  FormatOptions options = fixed();
  options.dry_run = true;
  std::string why;
  auto made = format(device, options, &why);
  ASSERT_TRUE(made.ok()) << why;
  EXPECT_EQ(made->geometry.block_count, kBlocks);
  EXPECT_EQ(device.blocks_stored(), 0u);
}

TEST(Format, Refusals) {
  std::string why;
  MemoryDevice small(kBlocks - 1);
  EXPECT_EQ(format(small, {}, &why).code(), EINVAL);
  EXPECT_NE(why.find("16 MiB"), std::string::npos) << why;
  MemoryDevice device(kBlocks);
  FormatOptions options;
  options.label.assign(65, 'x');
  EXPECT_EQ(format(device, options, &why).code(), EINVAL);
  device.set_read_only(true);
  EXPECT_EQ(format(device, {}, &why).code(), EROFS);
}

TEST(Format, LargestVolumeIsCheap) {
  MemoryDevice device(uint64_t{1} << 30);  // 4 TiB
  std::string why;
  auto made = format(device, fixed(), &why);
  ASSERT_TRUE(made.ok()) << why;
  EXPECT_LT(device.blocks_stored(), kJournalBlocksMax + 500);
}

TEST(Format, EveryFailedWriteOrFlushIsReported) {
  for (auto call : {FaultDevice::Call::write, FaultDevice::Call::flush}) {
    uint64_t nth = 1;
    for (;; ++nth) {
      MemoryDevice memory(kBlocks);
      FaultDevice device(memory);
      device.fail(call, nth, EIO);
      std::string why;
      auto made = format(device, fixed(), &why);
      if (device.calls(call) < nth) {
        EXPECT_TRUE(made.ok());
        break;
      }
      EXPECT_EQ(made.code(), EIO) << nth;
      EXPECT_FALSE(why.empty());
    }
    EXPECT_GT(nth, 2u);
  }
}

// Over an old volume: whatever a power cut leaves is no volume, or the new one, never the old one's
// superblock with some of the new content.
TEST(Format, PowerCutLeavesNoVolumeOrTheNewOne) {
  uint64_t seed = 2;
  MemoryDevice memory(kBlocks);
  std::string why;
  FormatOptions old = fixed();
  old.uuid = Uuid{9};
  ASSERT_TRUE(format(memory, old, &why).ok()) << why;
  auto start = memory.clone();
  RecordingDevice recording(memory);
  ASSERT_TRUE(format(recording, fixed(), &why).ok()) << why;
  CrashImages images(*start, recording);
  uint64_t new_volumes = 0;
  for (uint64_t cut = 0; cut <= recording.event_count(); ++cut) {
    images.advance(cut);
    auto image = images.build(CrashImages::keep_random(seed + cut));
    auto sb = read_newest_superblock(*image, &why);
    if (!sb.ok()) continue;
    if (sb->uuid == Uuid{9}) {
      // Only while the wiping of the superblocks is not durable yet: all else is still the old.
      EXPECT_TRUE(SpaceMap::load(*image, *sb, &why).ok()) << why << " cut " << cut;
      continue;
    }
    ++new_volumes;
    EXPECT_TRUE(SpaceMap::load(*image, *sb, &why).ok()) << why << " cut " << cut;
    NodeStore store(*image, sb->uuid.data(), sb->hash_key);
    EXPECT_TRUE(TreeReader(store, sb->root).inode(kRootIno).ok()) << "cut " << cut;
  }
  EXPECT_GT(new_volumes, 0u);
}

}  // namespace
}  // namespace scalefs::diskfs
