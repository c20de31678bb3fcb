#include "diskfs/node_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "diskfs/node_edit.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint8_t kUuid[16] = {7, 7, 7, 1};
constexpr BlockNo kBlock{77};
constexpr uint64_t kGeneration = 5;

Key entry_key(uint64_t offset) { return Key(Ino(3), ItemType::dirent, offset); }

std::vector<std::byte> filled(size_t size, uint64_t salt) {
  std::vector<std::byte> value(size);
  for (size_t i = 0; i < size; ++i) value[i] = static_cast<std::byte>(salt + i);
  return value;
}

struct TestNode {
  AlignedBuffer page{kBlockBytes};
  NodeAddress address;

  std::byte* bytes() { return page.data(); }
  NodeView view() const { return NodeView(page.data()); }
  void seal() { address = seal_node(bytes(), kUuid, kBlock, kGeneration); }
  // As if an attacker had altered the page and computed its checksum.
  void reseal_crc() {
    address.crc = node_crc(page.span());
    store_le<uint32_t>(bytes() + node_offset::crc, address.crc);
  }
  NodeFault verify(uint32_t level, const KeyRange& range = {}) {
    return verify_node(page.span(), kUuid, address, level, range);
  }
};

TestNode leaf(uint32_t items) {
  TestNode node;
  init_node(node.bytes(), 0);
  for (uint32_t i = 0; i < items; ++i) {
    leaf_insert(node.bytes(), i, entry_key(10 * i + 10), filled(20, i));
  }
  node.seal();
  return node;
}

TestNode internal(uint32_t children) {
  TestNode node;
  init_node(node.bytes(), 2);
  for (uint32_t i = 0; i < children; ++i) {
    child_insert(node.bytes(), i, entry_key(10 * i + 10), {BlockNo(1000 + i), 4, 99 + i});
  }
  node.seal();
  return node;
}

TEST(NodeFormat, sound_nodes_are_accepted) {
  EXPECT_EQ(leaf(5).verify(0), NodeFault::none);
  EXPECT_EQ(leaf(90).verify(0), NodeFault::none);
  EXPECT_EQ(internal(1).verify(2), NodeFault::none);
  EXPECT_EQ(internal(kChildrenMax).verify(2), NodeFault::none);
}

TEST(NodeFormat, sizes_of_the_format) {
  EXPECT_EQ(kChildrenMax, 109u);
  EXPECT_EQ(kItemValueMax, 2003u);
  TestNode node;
  init_node(node.bytes(), 0);
  leaf_insert(node.bytes(), 0, entry_key(1), filled(kItemValueMax, 1));
  EXPECT_TRUE(leaf_fits(node.bytes(), kItemValueMax));
  leaf_insert(node.bytes(), 1, entry_key(2), filled(kItemValueMax, 2));
  EXPECT_FALSE(leaf_fits(node.bytes(), 0));
  node.seal();
  EXPECT_EQ(node.verify(0), NodeFault::none);
}

// Each byte of the block altered alone is found by the checksum.
TEST(NodeFormat, every_altered_byte_is_found) {
  TestNode node = leaf(40);
  for (size_t i = 0; i < kBlockBytes; ++i) {
    node.bytes()[i] ^= std::byte{1};
    EXPECT_NE(node.verify(0), NodeFault::none) << "byte " << i;
    node.bytes()[i] ^= std::byte{1};
  }
  EXPECT_EQ(node.verify(0), NodeFault::none);
}

TEST(NodeFormat, promise_of_the_parent_is_kept) {
  TestNode node = leaf(3);
  NodeAddress promised = node.address;
  promised.block = BlockNo(78);
  const auto fault = [&](const NodeAddress& address, uint32_t level, const KeyRange& range) {
    return verify_node(node.page.span(), kUuid, address, level, range);
  };
  EXPECT_EQ(fault(promised, 0, {}), NodeFault::address);
  promised = node.address;
  promised.generation = 6;
  EXPECT_EQ(fault(promised, 0, {}), NodeFault::generation);
  promised = node.address;
  ++promised.crc;
  EXPECT_EQ(fault(promised, 0, {}), NodeFault::checksum);
  EXPECT_EQ(fault(node.address, 1, {}), NodeFault::level);
  EXPECT_EQ(fault(node.address, 0, {entry_key(11), Key::end()}), NodeFault::range);
  EXPECT_EQ(fault(node.address, 0, {Key(), entry_key(30)}), NodeFault::range);
  EXPECT_EQ(fault(node.address, 0, {entry_key(10), entry_key(31)}), NodeFault::none);
  const uint8_t other[16] = {1};
  EXPECT_EQ(verify_node(node.page.span(), other, node.address, 0, {}), NodeFault::uuid);
}

// Damage that a matching checksum hides, one field at a time.
TEST(NodeFormat, each_damaged_field_is_found) {
  const auto damaged = [](TestNode node, uint32_t level, auto&& change) {
    change(node.bytes());
    node.reseal_crc();
    return node.verify(level);
  };
  const size_t slot1 = kNodeHeaderBytes + kLeafSlotBytes;
  const auto put8 = [](size_t at, uint8_t value) {
    return [=](std::byte* page) { store_le<uint8_t>(page + at, value); };
  };
  const auto put16 = [](size_t at, uint16_t value) {
    return [=](std::byte* page) { store_le<uint16_t>(page + at, value); };
  };
  const auto put64 = [](size_t at, uint64_t value) {
    return [=](std::byte* page) { store_le<uint64_t>(page + at, value); };
  };
  EXPECT_EQ(damaged(leaf(3), 0, put8(node_offset::magic, 0)), NodeFault::magic);
  EXPECT_EQ(damaged(leaf(3), 0, put8(node_offset::uuid, 0)), NodeFault::uuid);
  EXPECT_EQ(damaged(leaf(3), 0, put64(node_offset::block, 1)), NodeFault::address);
  EXPECT_EQ(damaged(leaf(3), 0, put64(node_offset::generation, 1)), NodeFault::generation);
  EXPECT_EQ(damaged(leaf(3), 0, put8(node_offset::level, 1)), NodeFault::level);
  EXPECT_EQ(damaged(leaf(3), 0, put8(node_offset::reserved0, 1)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put8(node_offset::reserved1, 1)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(node_offset::count, 0)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(node_offset::count, 4)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(node_offset::count, 193)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(node_offset::count, 65535)), NodeFault::structure);
  EXPECT_EQ(damaged(internal(3), 2, put16(node_offset::count, 110)), NodeFault::structure);
  EXPECT_EQ(damaged(internal(3), 2, put16(node_offset::count, 65535)), NodeFault::structure);
  // A slot: value outside, overlapping its neighbour, too long; keys out of order or impossible.
  EXPECT_EQ(damaged(leaf(3), 0, put16(slot1 + 17, 4090)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(slot1 + 17, 65535)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(slot1 + 17, 40)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(slot1 + 19, 19)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put16(slot1 + 19, 65535)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put64(slot1 + 9, 10)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put64(slot1 + 9, 30)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put64(slot1 + 9, 9)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put8(slot1 + 8, 6)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put64(slot1, 0)), NodeFault::structure);
  EXPECT_EQ(damaged(leaf(3), 0, put64(slot1, uint64_t{1} << 48)), NodeFault::structure);
  const size_t entry1 = kNodeHeaderBytes + kChildEntryBytes;
  EXPECT_EQ(damaged(internal(3), 2, put64(entry1 + 17, 0)), NodeFault::structure);
  EXPECT_EQ(damaged(internal(3), 2, put64(entry1 + 17, UINT64_MAX)), NodeFault::structure);
  EXPECT_EQ(damaged(internal(3), 2, put64(entry1 + 9, 10)), NodeFault::structure);
}

TEST(NodeFormat, items_stand_under_their_owner) {
  const auto accepted = [](const Key& key) {
    TestNode node;
    init_node(node.bytes(), 0);
    leaf_insert(node.bytes(), 0, key, {});
    node.seal();
    return node.verify(0) == NodeFault::none;
  };
  EXPECT_TRUE(accepted(Key(Ino(1), ItemType::inode, 0)));
  EXPECT_FALSE(accepted(Key(Ino(1), ItemType::inode, 1)));
  EXPECT_FALSE(accepted(Key(Ino(0), ItemType::inode, 0)));
  EXPECT_TRUE(accepted(Key(Ino(1), ItemType::mapping, UINT32_MAX)));
  EXPECT_FALSE(accepted(Key(Ino(1), ItemType::mapping, uint64_t{1} << 32)));
  EXPECT_TRUE(accepted(Key(Ino(0), ItemType::orphan, 1)));
  EXPECT_FALSE(accepted(Key(Ino(0), ItemType::orphan, 0)));
  EXPECT_FALSE(accepted(Key(Ino(1), ItemType::orphan, 1)));
  EXPECT_TRUE(accepted(Key(Ino(0), ItemType::recycled_ino, 9)));
  EXPECT_TRUE(accepted(Key(Ino(0), ItemType::mnode_mark, 1023)));
  EXPECT_FALSE(accepted(Key(Ino(0), ItemType::mnode_mark, 1024)));
}

// Random edits of a leaf against a map; free bytes stay zero.
TEST(NodeEdit, leaf_agrees_with_a_map) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(30); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    TestNode node;
    init_node(node.bytes(), 0);
    std::map<Key, std::vector<std::byte>> model;
    for (int step = 0; step < 400; ++step) {
      const Key key = entry_key(random.below(60));
      const auto value = filled(random.below(seed % 3 ? 100 : 900), random.next());
      const uint32_t index = node.view().lower_bound(key);
      const bool found = index < node.view().count() && node.view().key(index) == key;
      ASSERT_EQ(found, model.contains(key));
      if (random.percent(30)) {
        const uint32_t end =
            std::min<uint32_t>(node.view().count(), index + uint32_t(random.below(4)));
        for (uint32_t i = index; i < end; ++i) model.erase(node.view().key(i));
        leaf_erase(node.bytes(), index, end);
      } else if (found) {
        if (leaf_replace(node.bytes(), index, value)) model[key] = value;
      } else if (leaf_fits(node.bytes(), value.size())) {
        leaf_insert(node.bytes(), index, key, value);
        model[key] = value;
      }
      size_t used = 0;
      uint32_t i = 0;
      for (const auto& [k, v] : model) {
        ASSERT_EQ(node.view().key(i), k);
        ASSERT_TRUE(std::ranges::equal(node.view().value(i), v));
        used += leaf_item_bytes(v.size());
        ++i;
      }
      ASSERT_EQ(node.view().count(), model.size());
      ASSERT_EQ(node.view().used_bytes(), used);
      const size_t slots_end = kNodeHeaderBytes + model.size() * kLeafSlotBytes;
      const size_t gap = kNodeCapacity - used;
      for (size_t at = slots_end; at < slots_end + gap; ++at) {
        ASSERT_EQ(node.bytes()[at], std::byte{0});
      }
    }
    if (!model.empty()) {
      node.seal();
      ASSERT_EQ(node.verify(0), NodeFault::none);
    }
  }
}

// Whatever bytes carry a right checksum: either refused, or every accessor stays in the page (the
// address sanitizer watches).
TEST(NodeFormat, altered_bytes_behind_a_right_checksum) {
  uint64_t accepted = 0, refused = 0, sum = 0;
  for (uint64_t seed = 1; seed <= 4000; ++seed) {
    Random random(seed);
    const bool is_leaf = random.percent(60);
    TestNode node = is_leaf ? leaf(1 + uint32_t(random.below(60)))
                            : internal(1 + uint32_t(random.below(109)));
    const uint64_t changes = random.between(1, 4);
    for (uint64_t i = 0; i < changes; ++i) {
      const size_t at = random.percent(70) ? random.below(400) : random.below(kBlockBytes);
      node.bytes()[at] = static_cast<std::byte>(random.next());
    }
    node.reseal_crc();
    if (node.verify(is_leaf ? 0 : 2) != NodeFault::none) {
      ++refused;
      continue;
    }
    ++accepted;
    const NodeView view = node.view();
    for (uint32_t i = 0; i < view.count(); ++i) {
      ASSERT_EQ(view.lower_bound(view.key(i)), i);
      if (is_leaf) {
        for (const std::byte b : view.value(i)) sum += static_cast<uint8_t>(b);
      } else {
        ASSERT_EQ(view.child_index(view.key(i)), i);
        sum += view.child(i).block.v;
      }
    }
  }
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(refused, 1000u);
  EXPECT_GT(sum, 0u);
}

}  // namespace
}  // namespace scalefs::diskfs
