// Repair of volumes with random content and random damage: it ends with a volume that the checker
// finds right, or with a reason.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "diskfs/check/repair.h"
#include "diskfs/memory_device.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/random_volume.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 4096;

std::string texts_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings.list()) {
    text += fmt::format("  {}: {}\n", code_name(finding.code), finding.text);
  }
  return text;
}

class RepairRandom : public ::testing::Test {
 protected:
  // Unmounted in order, or with batches in the journal.
  void make(uint64_t seed, bool unmount) {
    format_small(device_);
    std::string why;
    auto fs = DiskFs::mount(device_, {}, &why);
    ASSERT_TRUE(fs.ok()) << why;
    RandomVolume sample(**fs, seed);
    for (int i = 0; i < 400; ++i) {
      sample.random_step();
      if (i == 300) {
        sample.commit();
        ASSERT_TRUE((*fs)->checkpoint().ok());
      }
    }
    sample.commit();
    if (unmount) {
      ASSERT_TRUE((*fs)->unmount().ok());
    }
    auto newest = read_newest_superblock(device_, &why);
    ASSERT_TRUE(newest.ok()) << why;
    sb_ = *newest;
  }
  static std::vector<uint64_t> seeds() {
    uint64_t only = 0;
    if (testing::seed_given(&only)) return {only};
    return {1, 2, 7, testing::commit_seed(100)};
  }
  void change_items(uint64_t seed);
  static void flip(BlockDevice& device, uint64_t block, size_t offset, uint8_t mask) {
    AlignedBuffer bytes(kBlockBytes);
    ASSERT_TRUE(device.read(BlockNo(block), bytes.span()).ok());
    bytes.data()[offset] ^= std::byte{mask};
    ASSERT_TRUE(device.write(BlockNo(block), bytes.span()).ok());
  }
  MemoryDevice device_{kBlocks};
  Superblock sb_;
};

TEST_F(RepairRandom, AnyBytesAnywhere) {
  uint64_t repaired_count = 0, refused = 0;
  for (const uint64_t seed : seeds()) {
    make(seed, seed % 2 == 0);
    Random random(seed * 1000);
    for (int round = 0; round < 40; ++round) {
      SCOPED_TRACE(fmt::format("SCALEFS_SEED={}, round {}", seed, round));
      auto device = device_.clone();
      const uint64_t flips = random.between(1, 30);
      for (uint64_t i = 0; i < flips; ++i) {
        const bool metadata = random.percent(50);
        const uint64_t bound = metadata ? sb_.geometry.data_first + 60 : kBlocks;
        flip(*device, random.below(bound), random.below(kBlockBytes),
             static_cast<uint8_t>(1 + random.below(255)));
      }
      std::string why;
      auto found = check_volume(*device, &why);
      if (!found.ok() || found->findings.clean()) continue;
      auto repaired = repair_volume(*device, {}, &why);
      if (!repaired.ok()) {
        ++refused;
        EXPECT_NE(why, "");
        continue;
      }
      ++repaired_count;
      ASSERT_TRUE(repaired->repaired) << texts_of(found->findings) << "left:\n"
                                      << texts_of(repaired->left);
      auto clean = check_volume(*device, &why);
      ASSERT_TRUE(clean.ok()) << why;
      ASSERT_TRUE(clean->findings.list().empty()) << texts_of(clean->findings);
    }
  }
  EXPECT_GT(repaired_count, 5u);
  EXPECT_LT(refused, repaired_count);
}

// Every item of the tree in turn is cut short, made longer or given other bytes, with all checksums
// made right: what a faulty program leaves.
TEST_F(RepairRandom, AnyItemWithOtherBytes) {
  for (const uint64_t seed : seeds()) change_items(seed);
}

void RepairRandom::change_items(uint64_t seed) {
  make(seed, true);
  Random random(seed);
  NodeStore store(device_, sb_.uuid.data(), sb_.hash_key);
  TreeWriter tree(store, sb_.root);
  std::vector<TreeWriter::Item> items;
  ASSERT_TRUE(tree.visit(Key(), Key::end(), [&](const Key& key, ConstBytes value) {
                    items.push_back({key, {value.begin(), value.end()}});
                    return Status();
                  }).ok());
  ASSERT_GT(items.size(), 100u);
  for (size_t round = 0; round < 200; ++round) {
    SCOPED_TRACE(fmt::format("SCALEFS_SEED={}, round {}", seed, round));
    auto device = device_.clone();
    std::string why;
    const auto map = SpaceMap::load(*device, sb_, &why);
    ASSERT_TRUE(map.ok()) << why;
    NodeStore nodes(*device, sb_.uuid.data(), sb_.hash_key);
    TreeWriter writer(nodes, sb_.root);
    for (uint64_t changes = random.between(1, 4); changes > 0; --changes) {
      auto [key, value] = items[random.below(items.size())];
      const uint64_t choice = random.below(10);
      if (choice == 0) {
        (void)writer.erase(key);
        continue;
      }
      if (choice == 1 && !value.empty()) value.resize(random.below(value.size()));
      else if (choice == 2) value.resize(std::min(value.size() + 3, kItemValueMax));
      else if (!value.empty()) value[random.below(value.size())] ^= std::byte(1 + random.below(255));
      ASSERT_TRUE(writer.put(key, value).ok());
    }
    uint64_t next = sb_.geometry.data_end;
    const auto allocate = [&](uint64_t) -> Result<BlockRun> {
      do --next;
      while ((*map)->test(BlockNo(next)));
      return BlockRun{BlockNo(next), 1};
    };
    Superblock sb = sb_;
    ++sb.generation;
    auto out = writer.write_out(
        allocate, [&](BlockNo first, ConstBytes from) { return device->write(first, from); },
        sb.generation);
    ASSERT_TRUE(out.ok());
    sb.root = out->root;
    ASSERT_TRUE(write_superblock(*device, sb).ok());
    auto found = check_volume(*device, &why);
    ASSERT_TRUE(found.ok()) << why;
    auto repaired = repair_volume(*device, {}, &why);
    ASSERT_TRUE(repaired.ok()) << why << "\n" << texts_of(found->findings);
    ASSERT_TRUE(repaired->repaired) << texts_of(found->findings) << "done:\n"
                                    << texts_of(repaired->log.done) << "left:\n"
                                    << texts_of(repaired->left);
  }
}

}  // namespace
}  // namespace scalefs::diskfs
