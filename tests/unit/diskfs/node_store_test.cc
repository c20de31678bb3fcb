#include "diskfs/node_store.h"

#include <thread>

#include "base/memory.h"
#include "diskfs/node_edit.h"
#include "tests/unit/diskfs/tree_test_util.h"

namespace scalefs::diskfs {
namespace {

// A leaf with one inode item, written to its block.
NodeAddress write_leaf(MemoryDevice& device, uint64_t block, uint64_t generation, uint64_t ino) {
  AlignedBuffer page(kBlockBytes);
  init_node(page.data(), 0);
  leaf_insert(page.data(), 0, Key(Ino(ino), ItemType::inode, 0), {});
  const NodeAddress address = seal_node(page.data(), kTestUuid, BlockNo(block), generation);
  EXPECT_TRUE(device.write(BlockNo(block), page.span()).ok());
  return address;
}

TEST(NodeStore, second_read_comes_from_the_cache) {
  TreeBench bench;
  const NodeAddress address = write_leaf(bench.device, 50, 1, 3);
  const auto node = bench.store.read(address, 0, {});
  ASSERT_TRUE(node.ok());
  EXPECT_EQ((*node)->view().key(0).ino, 3u);
  EXPECT_EQ(bench.store.nodes_read(), 1u);
  ASSERT_TRUE(bench.store.read(address, 0, {}).ok());
  EXPECT_EQ(bench.store.nodes_read(), 1u);
}

// A block that a later checkpoint used again is read anew, also for the other way round.
TEST(NodeStore, reused_block_is_not_served_from_the_cache) {
  TreeBench bench;
  const NodeAddress old_address = write_leaf(bench.device, 50, 1, 3);
  ASSERT_TRUE(bench.store.read(old_address, 0, {}).ok());
  const NodeAddress new_address = write_leaf(bench.device, 50, 2, 4);
  const auto node = bench.store.read(new_address, 0, {});
  ASSERT_TRUE(node.ok());
  EXPECT_EQ((*node)->view().key(0).ino, 4u);
  EXPECT_EQ(bench.store.read(old_address, 0, {}).code(), EUCLEAN);
  EXPECT_EQ(bench.store.corruptions(), 1u);
}

TEST(NodeStore, cache_is_bounded_and_handles_outlive_it) {
  TreeBench bench(1u << 20, {.cache_bytes = 32 * 4500});
  std::vector<NodeAddress> addresses;
  for (uint64_t i = 0; i < 200; ++i) addresses.push_back(write_leaf(bench.device, 50 + i, 1, 1 + i));
  const int64_t before = memory_bytes(MemoryClass::tree_node);
  const auto first = bench.store.read(addresses[0], 0, {});
  for (const NodeAddress& address : addresses) ASSERT_TRUE(bench.store.read(address, 0, {}).ok());
  EXPECT_LE(bench.store.cached_nodes(), 32u);
  EXPECT_LE(memory_bytes(MemoryClass::tree_node) - before, 33 * 4500);
  EXPECT_EQ((*first)->view().key(0).ino, 1u);
  EXPECT_EQ(bench.store.nodes_read(), 200u);
}

TEST(NodeStore, cache_keeps_what_is_used) {
  TreeBench bench(1u << 20, {.cache_bytes = 16 * 4 * 4300});
  const NodeAddress hot = write_leaf(bench.device, 50, 1, 1);
  ASSERT_TRUE(bench.store.read(hot, 0, {}).ok());
  for (uint64_t i = 1; i < 1000; ++i) {
    ASSERT_TRUE(bench.store.read(write_leaf(bench.device, 50 + i, 1, 1), 0, {}).ok());
    ASSERT_TRUE(bench.store.read(hot, 0, {}).ok());
  }
  EXPECT_EQ(bench.store.nodes_read(), 1000u);
}

TEST(NodeStore, level_and_range_are_checked_for_cached_nodes_too) {
  TreeBench bench;
  const NodeAddress address = write_leaf(bench.device, 50, 1, 3);
  ASSERT_TRUE(bench.store.read(address, 0, {}).ok());
  EXPECT_EQ(bench.store.read(address, 1, {}).code(), EUCLEAN);
  EXPECT_EQ(bench.store.read(address, 0, {Key(4, 0, 0), Key::end()}).code(), EUCLEAN);
  EXPECT_EQ(bench.store.read(address, 0, {Key(), Key(3, 1, 0)}).code(), EUCLEAN);
  EXPECT_TRUE(bench.store.read(address, 0, {Key(3, 1, 0), Key(3, 1, 1)}).ok());
}

// A device whose reads fail a number of times.
class FlakyDevice final : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  Status read(BlockNo first, Bytes to) override {
    if (failures > 0) {
      --failures;
      if (corrupt) {
        std::fill(to.begin(), to.end(), std::byte{1});
        return {};
      }
      return Errno(EIO);
    }
    return MemoryDevice::read(first, to);
  }
  int failures = 0;
  bool corrupt = false;
};

TEST(NodeStore, one_bad_transfer_is_tried_again) {
  FlakyDevice device(1000);
  NodeStore store(device, kTestUuid, kTestHashKey, {.cache_bytes = 0});
  const NodeAddress address = write_leaf(device, 50, 1, 3);
  for (const bool corrupt : {false, true}) {
    device.corrupt = corrupt;
    device.failures = 1;
    EXPECT_TRUE(store.read(address, 0, {}).ok());
    device.failures = 2;
    EXPECT_EQ(store.read(address, 0, {}).code(), corrupt ? EUCLEAN : EIO);
  }
  EXPECT_EQ(store.corruptions(), 1u);
}

TEST(NodeStore, addresses_outside_the_device) {
  TreeBench bench(1000);
  EXPECT_EQ(bench.store.read({BlockNo(), 1, 1}, 0, {}).code(), EUCLEAN);
  EXPECT_EQ(bench.store.read({BlockNo(1000), 1, 1}, 0, {}).code(), EUCLEAN);
  EXPECT_EQ(bench.store.read({BlockNo(UINT64_MAX), 1, 1}, 0, {}).code(), EUCLEAN);
}

TEST(NodeStore, many_threads_read_the_same_nodes) {
  TreeBench bench(1u << 20, {.cache_bytes = 64 * 4300});
  std::vector<NodeAddress> addresses;
  for (uint64_t i = 0; i < 100; ++i) addresses.push_back(write_leaf(bench.device, 50 + i, 1, 1 + i));
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 3000; ++i) {
        const uint64_t index = random.below(addresses.size());
        const auto node = bench.store.read(addresses[index], 0, {});
        ASSERT_TRUE(node.ok());
        ASSERT_EQ((*node)->view().key(0).ino, 1 + index);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace scalefs::diskfs
