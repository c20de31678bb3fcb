#include "diskfs/tree_writer.h"

#include "base/memory.h"
#include "tests/support/seeds.h"
#include "tests/unit/diskfs/tree_test_util.h"

namespace scalefs::diskfs {
namespace {

Key file_key(uint64_t ino, uint64_t offset) { return Key(Ino(ino), ItemType::dirent, offset); }

std::vector<std::byte> filled(size_t size, uint64_t salt) {
  std::vector<std::byte> value(size);
  for (size_t i = 0; i < size; ++i) value[i] = static_cast<std::byte>(salt + i);
  return value;
}

// Everything the writer can be asked about `key` agrees with the map.
void expect_lookups(TreeWriter& writer, const ItemMap& model, const Key& key) {
  std::vector<std::byte> value;
  const auto exact = model.find(key);
  const auto found = writer.find(key, &value);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(*found, exact != model.end());
  if (*found) {
    ASSERT_EQ(value, exact->second);
  }
  TreeWriter::Item item;
  const auto above = model.lower_bound(key);
  const auto ceiling = writer.ceiling(key, Key::end(), &item);
  ASSERT_TRUE(ceiling.ok());
  ASSERT_EQ(*ceiling, above != model.end());
  if (*ceiling) {
    ASSERT_TRUE(item.key == above->first && item.value == above->second);
  }
  const auto past = model.upper_bound(key);
  const auto floor = writer.floor(key, Key(), &item);
  ASSERT_TRUE(floor.ok());
  ASSERT_EQ(*floor, past != model.begin());
  if (*floor) {
    ASSERT_TRUE(item.key == std::prev(past)->first && item.value == std::prev(past)->second);
  }
}

void expect_same(TreeWriter& writer, const ItemMap& model) {
  auto next = model.begin();
  const Status status = writer.visit(Key(), Key::end(), [&](const Key& key, ConstBytes value) {
    EXPECT_TRUE(next != model.end() && key == next->first);
    if (next == model.end() || key != next->first) return Status(Errno(EIO));
    EXPECT_TRUE(std::ranges::equal(value, next->second));
    ++next;
    return Status();
  });
  ASSERT_TRUE(status.ok());
  ASSERT_TRUE(next == model.end());
}

void expect_tree(TreeBench& bench, const TreeRoot& root, const ItemMap& model) {
  const TreeCollector found = collect_tree(bench.store, root);
  ASSERT_TRUE(found.items == model);
}

// A history of inserts, replacements, erases and range erases, with checkpoints; the trees of the last
// few checkpoints stay readable until their blocks are given up.
void random_history(uint64_t seed, int steps, size_t value_max) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  TreeBench bench;
  bench.run_max = random.percent(50) ? 64 : random.between(1, 5);
  TreeRoot root;
  auto writer = std::make_unique<TreeWriter>(bench.store, root);
  ItemMap model;
  std::vector<std::pair<TreeRoot, ItemMap>> snapshots;
  const uint64_t keys = random.between(50, 3000);
  const auto key = [&] { return file_key(1 + random.below(3), random.below(keys)); };
  bool growing = true;
  for (int step = 0; step < steps; ++step) {
    if (random.below(1000) == 0) growing = !growing;
    const uint64_t choice = random.below(100);
    if (choice < (growing ? 65u : 20u)) {
      const Key k = key();
      const size_t size = random.percent(10) ? value_max : random.below(value_max + 1);
      const auto value = filled(size, random.next());
      ASSERT_TRUE(writer->put(k, value).ok());
      model[k] = value;
    } else if (choice < 90) {
      const Key k = key();
      const auto erased = writer->erase(k);
      ASSERT_TRUE(erased.ok());
      ASSERT_EQ(*erased, model.erase(k) == 1);
    } else if (choice < 91) {
      Key from = key(), to = key();
      if (to < from) std::swap(from, to);
      if (random.percent(70)) to = std::min(to, Key(from.ino, from.type, from.offset + 30));
      auto expected = model.lower_bound(from);
      const Status status = writer->erase_range(from, to, [&](const Key& k, ConstBytes value) {
        EXPECT_TRUE(expected != model.end() && k == expected->first);
        EXPECT_TRUE(std::ranges::equal(value, expected->second));
        ++expected;
        return Status();
      });
      ASSERT_TRUE(status.ok());
      ASSERT_TRUE(expected == model.lower_bound(to));
      model.erase(model.lower_bound(from), expected);
    } else {
      expect_lookups(*writer, model, key());
      if (::testing::Test::HasFatalFailure()) return;
    }
    if (random.below(700) == 0) {
      expect_same(*writer, model);
      root = bench.checkpoint(*writer);
      ASSERT_EQ(collect_tree(bench.store, root).blocks, bench.in_use);
      snapshots.emplace_back(root, model);
      for (const auto& [old_root, old_model] : snapshots) expect_tree(bench, old_root, old_model);
      if (snapshots.size() > 3) snapshots.erase(snapshots.begin());
      if (random.percent(50)) writer = std::make_unique<TreeWriter>(bench.store, root);
      if (::testing::Test::HasFailure()) return;
    }
  }
  ASSERT_TRUE(writer->erase_range(Key(), Key::end(), nullptr).ok());
  root = bench.checkpoint(*writer);
  EXPECT_EQ(root.height, 0u);
  EXPECT_TRUE(bench.in_use.empty());
}

TEST(TreeWriter, agrees_with_a_map_small_values) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(8); ++seed) random_history(seed, 15000, 60);
}
TEST(TreeWriter, agrees_with_a_map_all_value_sizes) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(8); ++seed)
    random_history(100 + seed, 8000, kItemValueMax);
}
TEST(TreeWriter, agrees_with_a_map_empty_values) {
  for (uint64_t seed = 201; seed <= 200 + testing::seeds_of(3); ++seed) random_history(seed, 15000, 0);
}

TEST(TreeWriter, keeps_nothing_of_an_empty_tree) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  EXPECT_EQ(bench.checkpoint(writer).height, 0u);
  ASSERT_TRUE(writer.put(file_key(1, 1), {}).ok());
  EXPECT_TRUE(*writer.erase(file_key(1, 1)));
  EXPECT_FALSE(*writer.erase(file_key(1, 1)));
  EXPECT_EQ(bench.checkpoint(writer).height, 0u);
  EXPECT_EQ(bench.writes, 0u);
}

TEST(TreeWriter, writes_nothing_when_nothing_changed) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(writer.put(file_key(1, i), filled(50, i)).ok());
  const TreeRoot root = bench.checkpoint(writer);
  const uint64_t writes = bench.writes;
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(writer.put(file_key(1, i), filled(50, i)).ok());
  EXPECT_EQ(writer.dirty_nodes(), 0u);
  const TreeRoot same = bench.checkpoint(writer);
  EXPECT_EQ(bench.writes, writes);
  EXPECT_EQ(same.block, root.block);
  EXPECT_EQ(same.generation, root.generation);
}

TEST(TreeWriter, one_change_copies_one_path) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  for (uint64_t i = 0; i < 100000; ++i) {
    ASSERT_TRUE(writer.put(file_key(1 + i / 1000, i), filled(30, i)).ok());
  }
  const TreeRoot root = bench.checkpoint(writer);
  EXPECT_EQ(root.height, 3u);
  // In order of key: leaves but for the last are full.
  const TreeCollector found = collect_tree(bench.store, root);
  EXPECT_EQ(found.items.size(), 100000u);
  EXPECT_LE(found.levels.at(0), 100000u * 51 / kNodeCapacity * 102 / 100);
  ASSERT_TRUE(writer.put(file_key(50, 49500), filled(30, 1)).ok());
  EXPECT_EQ(writer.dirty_nodes(), 3u);
  EXPECT_EQ(writer.replaced_nodes(), 3u);
}

TEST(TreeWriter, nodes_stay_filled_while_shrinking) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  Random random(7);
  std::vector<uint64_t> order(100000);
  for (uint64_t i = 0; i < order.size(); ++i) order[i] = i;
  for (uint64_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  for (const uint64_t i : order) ASSERT_TRUE(writer.put(file_key(1, i), filled(30, i)).ok());
  for (uint64_t done = 0; done < 95000; ++done) {
    ASSERT_TRUE(*writer.erase(file_key(1, order[done])));
  }
  const TreeCollector found = collect_tree(bench.store, bench.checkpoint(writer));
  EXPECT_EQ(found.items.size(), 5000u);
  EXPECT_LE(found.levels.at(0), 5000u * 51 * 3 / kNodeCapacity + 1);
  for (uint64_t done = 95000; done < 100000; ++done) {
    ASSERT_TRUE(*writer.erase(file_key(1, order[done])));
  }
  EXPECT_EQ(bench.checkpoint(writer).height, 0u);
  EXPECT_TRUE(bench.in_use.empty());
}

// Erasing a long range changes the nodes at its ends only, and holds no dropped leaf in memory.
TEST(TreeWriter, long_range_erase_touches_its_ends_only) {
  TreeBench bench(1u << 20, {.cache_bytes = 64 << 10});
  TreeRoot root;
  {
    TreeWriter writer(bench.store, TreeRoot());
    for (uint64_t i = 0; i < 200000; ++i) {
      ASSERT_TRUE(writer.put(file_key(1, i), filled(60, i)).ok());
    }
    root = bench.checkpoint(writer);
  }
  TreeWriter writer(bench.store, root);
  const int64_t before = memory_bytes(MemoryClass::tree_node);
  int64_t peak = 0;
  uint64_t seen = 0;
  ASSERT_TRUE(writer
                  .erase_range(file_key(1, 500), file_key(1, 199000),
                               [&](const Key&, ConstBytes) {
                                 if (++seen % 1000 == 0) {
                                   peak = std::max(peak, memory_bytes(MemoryClass::tree_node));
                                 }
                                 return Status();
                               })
                  .ok());
  EXPECT_EQ(seen, 198500u);
  EXPECT_LT(peak - before, 20 * 5000);
  EXPECT_LE(writer.dirty_nodes(), 6u);
  root = bench.checkpoint(writer);
  EXPECT_EQ(collect_tree(bench.store, root).items.size(), 1500u);
  EXPECT_EQ(collect_tree(bench.store, root).blocks, bench.in_use);
}

TEST(TreeWriter, writes_neighbouring_blocks_together) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  for (uint64_t i = 0; i < 50000; ++i) ASSERT_TRUE(writer.put(file_key(1, i), filled(60, i)).ok());
  const uint64_t nodes = writer.dirty_nodes();
  bench.checkpoint(writer);
  EXPECT_LE(bench.writes, nodes / 64 + 1);
}

TEST(TreeWriter, unreadable_node_is_an_error) {
  TreeBench bench(1u << 20, {.cache_bytes = 0});
  TreeWriter writer(bench.store, TreeRoot());
  for (uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(writer.put(file_key(1, i), filled(60, i)).ok());
  const TreeRoot root = bench.checkpoint(writer);
  AlignedBuffer garbage(kBlockBytes);
  ASSERT_TRUE(bench.device.write(root.block, garbage.span()).ok());
  TreeWriter next(bench.store, root);
  EXPECT_EQ(next.put(file_key(1, 3), {}).code(), EUCLEAN);
  EXPECT_EQ(next.find(file_key(1, 3), nullptr).code(), EUCLEAN);
  EXPECT_EQ(next.erase_range(Key(), Key::end(), nullptr).code(), EUCLEAN);
  EXPECT_EQ(bench.store.corruptions(), 3u);
}

TEST(TreeWriter, failed_allocation_or_write_is_reported) {
  TreeBench bench;
  TreeWriter writer(bench.store, TreeRoot());
  ASSERT_TRUE(writer.put(file_key(1, 1), {}).ok());
  const auto no_room = [](uint64_t) -> Result<BlockRun> { return Errno(ENOSPC); };
  EXPECT_EQ(writer.write_out(no_room, bench.write(), 1).code(), ENOSPC);
  const auto broken = [](BlockNo, ConstBytes) -> Status { return Errno(EIO); };
  EXPECT_EQ(writer.write_out(bench.allocate(), broken, 1).code(), EIO);
}

}  // namespace
}  // namespace scalefs::diskfs
