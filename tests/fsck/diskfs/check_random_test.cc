// The checker on random volumes and random damage.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/aligned_buffer.h"
#include "diskfs/check/check.h"
#include "diskfs/memory_device.h"
#include "diskfs/node_store.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_walk.h"
#include "tests/support/random_volume.h"

namespace scalefs::diskfs {
namespace {

std::string texts_of(const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings.list()) {
    text += fmt::format("{}: {}\n", code_name(finding.code), finding.text);
  }
  return text;
}

TEST(CheckRandom, HistoriesAreClean) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    MemoryDevice device(4096);
    format_small(device);
    std::string why;
    auto fs = DiskFs::mount(device, {}, &why);
    ASSERT_TRUE(fs.ok()) << why;
    RandomVolume sample(**fs, seed);
    for (int i = 0; i < 400; ++i) {
      sample.random_step();
      if (i % 100 != 99) continue;
      sample.commit();
      if (sample.random.percent(50)) {
        ASSERT_TRUE((*fs)->checkpoint().ok());
      }
      auto report = check_volume(device, &why);
      ASSERT_TRUE(report.ok()) << why;
      ASSERT_TRUE(report->findings.list().empty()) << texts_of(*report);
    }
  }
}

class CheckDamage : public ::testing::Test {
 protected:
  static constexpr uint64_t kBlocks = 4096;

  void SetUp() override {
    format_small(device_);
    std::string why;
    auto fs = DiskFs::mount(device_, {}, &why);
    ASSERT_TRUE(fs.ok()) << why;
    RandomVolume sample(**fs, 5);
    for (int i = 0; i < 500; ++i) sample.random_step();
    sample.commit();
    ASSERT_TRUE((*fs)->unmount().ok());
    auto newest = read_newest_superblock(device_, &why);
    ASSERT_TRUE(newest.ok()) << why;
    sb_ = *newest;
    pristine_ = device_.clone();
  }
  void flip(uint64_t block, size_t offset, uint8_t mask) {
    AlignedBuffer bytes(kBlockBytes);
    ASSERT_TRUE(device_.read(BlockNo(block), bytes.span()).ok());
    bytes.data()[offset] ^= std::byte{mask};
    ASSERT_TRUE(device_.write(BlockNo(block), bytes.span()).ok());
  }
  void heal() {
    std::vector<std::byte> all(kBlocks * kBlockBytes);
    ASSERT_TRUE(pristine_->read(BlockNo(0), all).ok());
    ASSERT_TRUE(device_.write(BlockNo(0), all).ok());
  }

  MemoryDevice device_{kBlocks};
  std::unique_ptr<MemoryDevice> pristine_;
  Superblock sb_;
};

TEST_F(CheckDamage, AnyBytesAnywhereNeitherCrashNorHang) {
  uint64_t seed = 99;
  Random random(seed);
  for (int round = 0; round < 60; ++round) {
    uint64_t flips = random.between(1, 30);
    for (uint64_t i = 0; i < flips; ++i) {
      uint64_t bound = random.percent(50) ? sb_.geometry.data_first + 60 : kBlocks;
      flip(random.below(bound), random.below(kBlockBytes), static_cast<uint8_t>(random.next()));
    }
    std::string why;
    auto report = check_volume(device_, &why);
    EXPECT_TRUE(report.ok() || !why.empty());
    heal();
  }
}

class NodeList : public TreeWalkVisitor {
 public:
  bool node(const NodeInfo& info) override {
    blocks.push_back(info.block.v);
    return true;
  }
  bool item(const Key&, ConstBytes, BlockNo) override { return true; }
  std::vector<uint64_t> blocks;
};

TEST_F(CheckDamage, AFlippedBitInAnyNodeIsFound) {
  uint64_t seed = 3;
  Random random(seed);
  NodeStore store(device_, sb_.uuid.data(), sb_.hash_key);
  NodeList nodes;
  ASSERT_TRUE(walk_tree(store, sb_.root, nodes).ok());
  ASSERT_GT(nodes.blocks.size(), 5u);
  for (uint64_t block : nodes.blocks) {
    size_t offset = random.below(kBlockBytes);
    uint8_t mask = static_cast<uint8_t>(1 << random.below(8));
    flip(block, offset, mask);
    std::string why;
    auto report = check_volume(device_, &why);
    ASSERT_TRUE(report.ok()) << why;
    EXPECT_EQ(report->findings.count(Code::tree_checksum), 1u)
        << "block " << block << " seed " << seed;
    flip(block, offset, mask);
  }
}

}  // namespace
}  // namespace scalefs::diskfs
