// The checker and the reading of data find the same, in the same order, whatever the number of their threads; and
// the tree cut into parts shows what it shows in one piece.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "diskfs/check/check.h"
#include "diskfs/check/parallel.h"
#include "diskfs/check/scrub.h"
#include "diskfs/check/tree_scan.h"
#include "diskfs/memory_device.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"
#include "tests/support/seeds.h"
#include "tests/support/wide_volume.h"

namespace scalefs::diskfs {
namespace {

constexpr int kRounds = 25;

std::vector<std::string> lines_of(const Findings& findings) {
  std::vector<std::string> lines;
  for (const Finding& f : findings.list()) {
    lines.push_back(fmt::format("{}: {}", code_name(f.code), f.text));
  }
  lines.push_back(fmt::format("{} omitted", findings.omitted()));
  return lines;
}

std::vector<std::string> lines_of(const CheckReport& report) {
  std::vector<std::string> lines = lines_of(report.findings);
  lines.push_back(fmt::format("{} inodes {} directories {} names {} nodes {} pages {} orphans",
                              report.inodes, report.directories, report.names, report.nodes,
                              report.pages, report.orphans));
  return lines;
}

class CheckThreads : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    testing::WideVolume what;
    sound_ = new MemoryDevice(what.blocks);
    testing::make_wide_volume(*sound_, what);
  }
  static void TearDownTestSuite() {
    delete sound_;
    sound_ = nullptr;
  }

  // Flips bytes of so many nodes below the root.
  static void damage_nodes(MemoryDevice& device, Random& random, uint64_t count) {
    class Blocks final : public TreeWalkVisitor {
     public:
      bool node(const NodeInfo& info) override {
        if (info.parent.v != 0) blocks.push_back(info.block);
        return true;
      }
      bool item(const Key&, ConstBytes, BlockNo) override { return true; }
      std::vector<BlockNo> blocks;
    } found;
    std::string why;
    const auto sb = read_newest_superblock(device, &why);
    ASSERT_TRUE(sb.ok()) << why;
    NodeStore store(device, sb->uuid.data(), sb->hash_key);
    ASSERT_TRUE(walk_tree(store, sb->root, found).ok());
    for (uint64_t i = 0; i < count; ++i) {
      // Nodes that stand high are few: as often as all the others.
      const size_t bound = random.percent(50) ? found.blocks.size() : 3;
      const BlockNo block = found.blocks[random.below(bound)];
      AlignedBuffer page(kBlockBytes);
      ASSERT_TRUE(device.read(block, page.span()).ok());
      page.data()[random.below(kBlockBytes)] ^= std::byte{0x10};
      ASSERT_TRUE(device.write(block, page.span()).ok());
    }
  }
  // Items that are wrong under right checksums.
  static void damage_items(MemoryDevice& device, Random& random) {
    ImageSurgeon surgeon(device);
    for (int i = 0; i < 5; ++i) {
      surgeon.edit_inode(Ino(2 + random.below(5000)), [&](InodeItem& item) {
        if (random.percent(50)) ++item.nlink;
        item.blocks += random.below(2);
        item.entries += random.below(2);
      });
    }
    surgeon.finish();
  }

  static MemoryDevice* sound_;
};

MemoryDevice* CheckThreads::sound_ = nullptr;

// What one scan of the whole tree finds.
std::vector<std::string> in_one_piece(BlockDevice& device) {
  std::string why;
  const auto sb = read_newest_superblock(device, &why);
  EXPECT_TRUE(sb.ok()) << why;
  BlockRefs refs(sb->geometry);
  NodeStore store(device, sb->uuid.data(), sb->hash_key);
  TreeScanResult result;
  result.findings = Findings(UINT64_MAX);
  TreeScan scan(*sb, refs, result);
  EXPECT_TRUE(walk_tree(store, sb->root, scan).ok());
  scan.finish();
  std::vector<std::string> lines = lines_of(result.findings);
  lines.push_back(fmt::format("{} inodes {} names {} nodes {} pages, complete {}",
                              result.table.inodes.size(), result.table.names.size(), result.nodes,
                              result.pages, result.complete));
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> in_parts(BlockDevice& device) {
  std::string why;
  const auto sb = read_newest_superblock(device, &why);
  EXPECT_TRUE(sb.ok()) << why;
  BlockRefs refs(sb->geometry);
  NodeStore store(device, sb->uuid.data(), sb->hash_key);
  const TreeScanResult result = scan_tree(store, *sb, refs, 3, {});
  EXPECT_EQ(result.findings.omitted(), 0u);
  std::vector<std::string> lines = lines_of(result.findings);
  lines.push_back(fmt::format("{} inodes {} names {} nodes {} pages, complete {}",
                              result.table.inodes.size(), result.table.names.size(), result.nodes,
                              result.pages, result.complete));
  EXPECT_TRUE(std::is_sorted(result.table.inodes.begin(), result.table.inodes.end(),
                             [](const auto& a, const auto& b) { return a.ino < b.ino; }));
  std::sort(lines.begin(), lines.end());
  return lines;
}

TEST_F(CheckThreads, TheTreeHasParts) {
  std::string why;
  const auto sb = read_newest_superblock(*sound_, &why);
  ASSERT_TRUE(sb.ok()) << why;
  NodeStore store(*sound_, sb->uuid.data(), sb->hash_key);
  BlockRefs refs(sb->geometry);
  TreeScanResult result;
  TreeScan spine(*sb, refs, result);
  const auto parts = split_tree(store, sb->root, spine);
  ASSERT_TRUE(parts.ok());
  EXPECT_GE(parts->size(), 4u);
  EXPECT_GE(result.nodes, 1u);
  for (size_t i = 1; i < parts->size(); ++i) {
    EXPECT_EQ((*parts)[i].range.low, (*parts)[i - 1].range.high);
  }
  EXPECT_EQ(check_volume(*sound_, &why)->findings.list().size(), 0u);
}

TEST_F(CheckThreads, PartsShowWhatTheWholeShows) {
  Random random(testing::commit_seed(401));
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    auto device = sound_->clone();
    if (round % 3 == 1) damage_items(*device, random);
    if (round > 1) damage_nodes(*device, random, random.below(6));
    ASSERT_EQ(in_parts(*device), in_one_piece(*device));
  }
}

TEST_F(CheckThreads, TheSameWithAnyNumber) {
  Random random(testing::commit_seed(402));
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    auto device = sound_->clone();
    if (round > 0) damage_items(*device, random);
    if (round > 1) damage_nodes(*device, random, random.below(4));
    // Data, names of blocks twice, too.
    std::string why;
    if (round > 2) {
      for (uint64_t block = 5000; block < 7000; block += 13) {
        const AlignedBuffer zeros(kBlockBytes);
        ASSERT_TRUE(device->write(BlockNo(block), zeros.span()).ok());
      }
    }
    const auto alone = check_volume(*device, &why, {1, {}});
    const auto data_alone = scrub_volume(*device, {1, {}}, &why);
    ASSERT_TRUE(alone.ok() && data_alone.ok()) << why;
    for (const size_t workers : {2, 5}) {
      const auto report = check_volume(*device, &why, {workers, {}});
      ASSERT_TRUE(report.ok()) << why;
      ASSERT_EQ(lines_of(*report), lines_of(*alone));
      const auto data = scrub_volume(*device, {workers, {}}, &why);
      ASSERT_TRUE(data.ok()) << why;
      ASSERT_EQ(lines_of(data->findings), lines_of(data_alone->findings));
      ASSERT_EQ(data->blocks, data_alone->blocks);
    }
  }
}

TEST_F(CheckThreads, ProgressEndsWithEverything) {
  std::string why;
  uint64_t last = 0, total = 0, calls = 0;
  const Progress progress = [&](uint64_t done, uint64_t of) {
    EXPECT_GE(done, last);
    last = done;
    total = of;
    ++calls;
  };
  ASSERT_TRUE(check_volume(*sound_, &why, {3, progress}).ok());
  EXPECT_EQ(last, total);
  EXPECT_GE(calls, 4u);
  last = calls = 0;
  const auto data = scrub_volume(*sound_, {3, progress}, &why);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(last, data->blocks);
  EXPECT_GE(calls, 4u);
}

TEST(ShareWork, DoesEachOnceAndHandsErrorsOn) {
  std::vector<Atomic<int>> done(1000);
  share_work(4, done.size(), [&](size_t worker, size_t item) {
    EXPECT_LT(worker, 4u);
    done[item].fetch_add(1, relaxed);
  });
  for (const auto& count : done) EXPECT_EQ(count.load(relaxed), 1);
  EXPECT_THROW(share_work(3, 100, [](size_t, size_t item) {
                 if (item == 50) throw std::bad_alloc();
               }),
               std::bad_alloc);
  share_work(3, 0, [](size_t, size_t) { FAIL(); });
}

}  // namespace
}  // namespace scalefs::diskfs
