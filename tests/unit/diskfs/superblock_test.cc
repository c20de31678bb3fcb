#include "diskfs/superblock.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "base/random.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "diskfs/superblock_scan.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 4096;

Superblock sample(uint64_t generation = 1) {
  Superblock sb;
  for (size_t i = 0; i < sb.uuid.size(); ++i) sb.uuid[i] = static_cast<uint8_t>(i + 1);
  sb.label = "a label";
  sb.geometry = *choose_geometry(kBlocks);
  sb.generation = generation;
  sb.mount_epoch = 3;
  sb.feature_compat = 0x10;
  sb.feature_ro_compat = 0x20;
  sb.created_ns = -5;
  sb.state = kStateClean;
  sb.hash_key = {11, 12};
  sb.table = {1, 0xabc, 1};
  sb.root = {BlockNo(1000), 0x1234, 2, 1};
  sb.covered_seq = 77;
  sb.covered_crc = 0x9999;
  sb.journal_scan = 255;
  sb.next_ino = 100;
  sb.free_ino_count = 9;
  sb.inode_count = 90;
  sb.free_blocks = 1234;
  return sb;
}

// A copy with something changed and the checksum made right again.
int decode_code(const std::function<void(RawSuperblock*)>& change, bool fix_crc = true) {
  AlignedBuffer block(kBlockBytes);
  encode_superblock(sample(), 1, block.span().first<kBlockBytes>());
  auto* raw = reinterpret_cast<RawSuperblock*>(block.data());
  change(raw);
  if (fix_crc) raw->crc = crc32c(raw, offsetof(RawSuperblock, crc));
  std::string why;
  ConstBytes bytes = block.span();
  int code = decode_superblock(bytes.first<kBlockBytes>(), 1, &why).code();
  EXPECT_EQ(code != 0, !why.empty());
  return code;
}

TEST(Superblock, RoundTrip) {
  AlignedBuffer block(kBlockBytes), again(kBlockBytes);
  Superblock sb = sample();
  encode_superblock(sb, 4, block.span().first<kBlockBytes>());
  std::string why;
  ConstBytes bytes = block.span();
  auto got = decode_superblock(bytes.first<kBlockBytes>(), 4, &why);
  ASSERT_TRUE(got.ok()) << why;
  EXPECT_EQ(got->label, "a label");
  EXPECT_EQ(got->geometry, sb.geometry);
  EXPECT_EQ(got->root.block, sb.root.block);
  EXPECT_EQ(got->hash_key, sb.hash_key);
  encode_superblock(*got, 4, again.span().first<kBlockBytes>());
  EXPECT_EQ(std::memcmp(block.data(), again.data(), kBlockBytes), 0);
  EXPECT_TRUE(must_mount_read_only(*got));
}

TEST(Superblock, LabelOfFullLength) {
  AlignedBuffer block(kBlockBytes);
  Superblock sb = sample();
  sb.label.assign(kLabelBytesMax, 'x');
  encode_superblock(sb, 1, block.span().first<kBlockBytes>());
  std::string why;
  ConstBytes bytes = block.span();
  auto got = decode_superblock(bytes.first<kBlockBytes>(), 1, &why);
  ASSERT_TRUE(got.ok()) << why;
  EXPECT_EQ(got->label, sb.label);
}

TEST(Superblock, AnyFlippedBitIsFound) {
  for (size_t byte = 0; byte < kBlockBytes; ++byte) {
    int code = decode_code(
        [&](RawSuperblock* raw) { reinterpret_cast<uint8_t*>(raw)[byte] ^= 1 << byte % 8; }, false);
    ASSERT_EQ(code, byte < 8 ? EINVAL : EUCLEAN) << "byte " << byte;
  }
}

TEST(Superblock, RefusesOtherVersionsAndUnknownFeatures) {
  EXPECT_EQ(decode_code([](RawSuperblock* r) { r->version_major = 2; }), ENOTSUP);
  EXPECT_EQ(decode_code([](RawSuperblock* r) { r->version_minor = 9; }), 0);
  EXPECT_EQ(decode_code([](RawSuperblock* r) { r->feature_incompat = 1; }), ENOTSUP);
  EXPECT_EQ(decode_code([](RawSuperblock* r) { r->feature_ro_compat = 1; }), 0);
  EXPECT_EQ(decode_code([](RawSuperblock* r) { r->feature_compat = 1; }), 0);
}

TEST(Superblock, EveryFieldIsChecked) {
  const std::vector<std::pair<const char*, std::function<void(RawSuperblock*)>>> changes = {
      {"own_block", [](RawSuperblock* r) { r->own_block = 2; }},
      {"block_bytes", [](RawSuperblock* r) { r->block_bytes = 512; }},
      {"label", [](RawSuperblock* r) { r->label[63] = 'x'; }},
      {"block_count", [](RawSuperblock* r) { r->block_count = 10; }},
      {"block_count huge", [](RawSuperblock* r) { r->block_count = UINT64_MAX; }},
      {"block_count of another group count", [](RawSuperblock* r) { r->block_count *= 100; }},
      {"generation", [](RawSuperblock* r) { r->generation = 0; }},
      {"made-up generation", [](RawSuperblock* r) { r->generation = uint64_t{1} << 62; }},
      {"made-up mount_epoch", [](RawSuperblock* r) { r->mount_epoch = uint64_t{1} << 62; }},
      {"made-up covered_seq", [](RawSuperblock* r) { r->covered_seq = uint64_t{1} << 62; }},
      {"state", [](RawSuperblock* r) { r->state = 0x100; }},
      {"group_blocks", [](RawSuperblock* r) { r->group_blocks = 3; }},
      {"group_blocks 0", [](RawSuperblock* r) { r->group_blocks = 0; }},
      {"group_count", [](RawSuperblock* r) { r->group_count = 2; }},
      {"journal_first", [](RawSuperblock* r) { r->journal_first = 17; }},
      {"journal_blocks", [](RawSuperblock* r) { r->journal_blocks = 5000; }},
      {"table_first 0", [](RawSuperblock* r) { r->table_first[0] = 1; }},
      {"table_first 1", [](RawSuperblock* r) { r->table_first[1] = 1; }},
      {"table_blocks", [](RawSuperblock* r) { r->table_blocks = 2; }},
      {"table_copy", [](RawSuperblock* r) { r->table_copy = 2; }},
      {"table_generation", [](RawSuperblock* r) { r->table_generation = 2; }},
      {"root_block in front", [](RawSuperblock* r) { r->root_block = 20; }},
      {"root_block behind", [](RawSuperblock* r) { r->root_block = kBlocks - 1; }},
      {"root_block 0", [](RawSuperblock* r) { r->root_block = 0; }},
      {"root_height", [](RawSuperblock* r) { r->root_height = 1000; }},
      {"root_height 0 with a root", [](RawSuperblock* r) { r->root_height = 0; }},
      {"root_generation", [](RawSuperblock* r) { r->root_generation = 2; }},
      {"covered", [](RawSuperblock* r) { r->covered_seq = 0; }},
      {"journal_scan", [](RawSuperblock* r) { r->journal_scan = 256; }},
      {"next_ino", [](RawSuperblock* r) { r->next_ino = 1; }},
      {"next_ino huge", [](RawSuperblock* r) { r->next_ino = UINT64_MAX; }},
      {"inode_count", [](RawSuperblock* r) { r->inode_count = 91; }},
      {"free_ino_count", [](RawSuperblock* r) { r->free_ino_count = UINT64_MAX; }},
      {"free_blocks", [](RawSuperblock* r) { r->free_blocks = 4096; }},
  };
  for (const auto& [name, change] : changes) EXPECT_EQ(decode_code(change), EUCLEAN) << name;
}

TEST(Superblock, GenerationsLeaveTheOneBeforeAlone) {
  for (uint64_t g = 1; g < 20; ++g) {
    auto now = superblock_targets(g, kBlocks);
    EXPECT_EQ(now.size(), 3u);
    for (uint64_t before = g > 3 ? g - 3 : 0; before < g; ++before) {
      auto old = superblock_targets(before, kBlocks);
      EXPECT_NE(now[0], old[0]);
      EXPECT_NE(now[1], old[1]);
      EXPECT_NE(now[0], old[1]);
      if (before + 1 == g) {
        EXPECT_NE(now[2], old[2]);
      }
    }
    for (uint64_t place : now) {
      EXPECT_TRUE((place >= 1 && place <= 8) || place == kBlocks - 1 || place == kBlocks - 2);
    }
  }
}

class SuperblockScanTest : public ::testing::Test {
 protected:
  Result<Superblock> newest() { return read_newest_superblock(device_, &why_); }
  void wipe(uint64_t block) { ASSERT_TRUE(device_.write_zeroes(BlockNo(block), 1).ok()); }

  MemoryDevice device_{kBlocks};
  std::string why_;
};

TEST_F(SuperblockScanTest, NewestGenerationWins) {
  ASSERT_TRUE(write_all_superblocks(device_, sample(1)).ok());
  for (uint64_t g = 2; g < 12; ++g) {
    ASSERT_TRUE(write_superblock(device_, sample(g)).ok());
    auto got = newest();
    ASSERT_TRUE(got.ok()) << why_;
    EXPECT_EQ(got->generation, g);
  }
}

TEST_F(SuperblockScanTest, EachCopyAloneSuffices) {
  for (uint64_t place : superblock_places(kBlocks)) {
    ASSERT_TRUE(write_all_superblocks(device_, sample(9)).ok());
    for (uint64_t other : superblock_places(kBlocks)) {
      if (other != place) wipe(other);
    }
    auto got = newest();
    ASSERT_TRUE(got.ok()) << why_ << ", block " << place;
    EXPECT_EQ(got->generation, 9u);
  }
}

TEST_F(SuperblockScanTest, TornNewestFallsBackToTheOneBefore) {
  ASSERT_TRUE(write_superblock(device_, sample(5)).ok());
  FaultDevice fault(device_);
  for (uint64_t i = 1; i <= 3; ++i) fault.corrupt_write(i, 3000, std::byte{1});
  ASSERT_TRUE(write_superblock(fault, sample(6)).ok());
  auto got = newest();
  ASSERT_TRUE(got.ok()) << why_;
  EXPECT_EQ(got->generation, 5u);
}

TEST_F(SuperblockScanTest, NotAVolume) {
  EXPECT_EQ(newest().code(), EINVAL);
  EXPECT_EQ(why_, "not a scalefs volume");
  MemoryDevice small(4);
  EXPECT_EQ(read_newest_superblock(small, &why_).code(), EINVAL);
}

TEST_F(SuperblockScanTest, AllDamaged) {
  FaultDevice fault(device_);
  for (uint64_t i = 1; i <= 10; ++i) fault.corrupt_write(i, 2000, std::byte{1});
  ASSERT_TRUE(write_all_superblocks(fault, sample(1)).ok());
  EXPECT_EQ(newest().code(), EUCLEAN);
  EXPECT_NE(why_.find("checksum"), std::string::npos) << why_;
}

TEST_F(SuperblockScanTest, UnreadableDevice) {
  FaultDevice fault(device_);
  fault.fail(FaultDevice::Call::read, 1, EIO, true);
  EXPECT_EQ(read_newest_superblock(fault, &why_).code(), EIO);
}

TEST_F(SuperblockScanTest, UnreadableCopiesArePassedOver) {
  ASSERT_TRUE(write_all_superblocks(device_, sample(1)).ok());
  FaultDevice fault(device_);
  for (uint64_t slot = 1; slot <= 7; ++slot) fault.fail_block(BlockNo(slot), EIO);
  EXPECT_TRUE(read_newest_superblock(fault, &why_).ok()) << why_;
}

TEST_F(SuperblockScanTest, TruncatedDeviceIsNamedSo) {
  ASSERT_TRUE(write_all_superblocks(device_, sample(1)).ok());
  MemoryDevice shorter(kBlocks - 100);
  AlignedBuffer area(16 * kBlockBytes);
  ASSERT_TRUE(device_.read(BlockNo(0), area.span()).ok());
  ASSERT_TRUE(shorter.write(BlockNo(0), area.span()).ok());
  EXPECT_EQ(read_newest_superblock(shorter, &why_).code(), EUCLEAN);
  EXPECT_NE(why_.find("truncated"), std::string::npos) << why_;
}

TEST_F(SuperblockScanTest, GrownDeviceStillFindsTheEndCopies) {
  MemoryDevice larger(kBlocks + 500);
  ASSERT_TRUE(write_all_superblocks(larger, sample(1)).ok());
  SuperblockScan scan = scan_superblocks(larger);
  ASSERT_TRUE(scan.newest);
  EXPECT_EQ(scan.copies.size(), 10u);
  for (const SuperblockCopy& copy : scan.copies) EXPECT_EQ(copy.error, 0) << copy.block;
}

TEST_F(SuperblockScanTest, CopiesOfAnotherVolumeDoNotCount) {
  Superblock stranger = sample(100);
  stranger.uuid[0] = 0xff;
  ASSERT_TRUE(write_all_superblocks(device_, stranger).ok());
  for (uint64_t place = 1; place <= 8; ++place) wipe(place);
  ASSERT_TRUE(write_superblock(device_, sample(1)).ok());
  auto got = newest();
  ASSERT_TRUE(got.ok()) << why_;
  EXPECT_EQ(got->generation, 1u);
}

TEST_F(SuperblockScanTest, NewerFormatIsNotPassedOver) {
  ASSERT_TRUE(write_all_superblocks(device_, sample(1)).ok());
  AlignedBuffer block(kBlockBytes);
  encode_superblock(sample(2), 5, block.span().first<kBlockBytes>());
  auto* raw = reinterpret_cast<RawSuperblock*>(block.data());
  raw->feature_incompat = 4;
  raw->crc = crc32c(raw, offsetof(RawSuperblock, crc));
  ASSERT_TRUE(device_.write(BlockNo(5), block.span()).ok());
  EXPECT_EQ(newest().code(), ENOTSUP);
}

TEST_F(SuperblockScanTest, RandomBytesNeverPass) {
  uint64_t seed = 3;
  Random random(seed);
  AlignedBuffer area(16 * kBlockBytes);
  for (int round = 0; round < 200; ++round) {
    for (size_t i = 0; i < area.size(); i += 8) store_le<uint64_t>(area.data() + i, random.next());
    for (size_t b = 0; b < 16; ++b) {
      std::memcpy(area.block(b).data(), kSuperblockMagic.data(), 8);
      uint32_t crc = crc32c(area.block(b).data(), kBlockBytes - 4);
      store_le<uint32_t>(area.block(b).data() + kBlockBytes - 4, crc);
    }
    ASSERT_TRUE(device_.write(BlockNo(0), area.span()).ok());
    ASSERT_FALSE(newest().ok()) << "seed " << seed << " round " << round;
  }
}

}  // namespace
}  // namespace scalefs::diskfs
