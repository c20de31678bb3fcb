// Damaged trees: every reader of them answers EUCLEAN or something harmless, and ends.
#include "tests/unit/diskfs/tree_damage.h"

#include "base/log.h"

#include "tests/support/seeds.h"
#include "tests/unit/diskfs/apply_bench.h"

namespace scalefs::diskfs {
namespace {

// Some of everything, in a tree of two levels or three.
void fill_everything(ApplyBench& bench, int scale) {
  Batch batch;
  for (uint64_t i = 1; i <= uint64_t(4 * scale); ++i) {
    batch.put_inode(Ino(i), test_inode(i, 040755));
    for (int j = 0; j < 8; ++j) {
      const std::string name = "name " + std::to_string(j);
      batch.put_dirent(Ino(i), uint64_t(j / 2), name, {Ino(i), MnodeNo(i), 4});
      batch.put_xattr(Ino(i), "user." + name, ByteVector(j == 0 ? 3000 : 20, std::byte{5}));
      batch.put_extent(Ino(i), uint64_t(j) * 20, bench.data_blocks(5), test_crcs(5, 1));
      batch.put_unwritten(Ino(i), uint64_t(j) * 20 + 10, 5);
    }
    batch.put_inline(Ino(i), 0, ByteVector(700, std::byte{7}));
    if (i % 3 == 0) batch.put_orphan(Ino(i));
    if (i % 4 == 0) batch.delete_inode(Ino(i));
  }
  batch.set_mnode_mark(2, 77);
  bench.run(batch);
  bench.checkpoint();
}

bool harmless(int code) { return code == 0 || code == EUCLEAN || code == ENOENT || code == ENODATA; }

// Everything a reader can be asked.
void read_everything(NodeStore& store, const TreeRoot& root, Random& random) {
  const TreeReader reader(store, root);
  for (int round = 0; round < 3; ++round) {
    const Ino ino(random.below(20));
    EXPECT_TRUE(harmless(reader.inode(ino).code()));
    EXPECT_TRUE(harmless(reader.dirents(ino, random.below(5)).code()));
    EXPECT_TRUE(harmless(reader.list(ino, 0, random.below(30)).code()));
    EXPECT_TRUE(harmless(reader.map(ino, random.below(100), UINT64_MAX).code()));
    EXPECT_TRUE(harmless(reader.xattr(ino, "user.name 0").code()));
    EXPECT_TRUE(harmless(reader.xattrs(ino).code()));
  }
  EXPECT_TRUE(harmless(reader.orphans(Ino(), SIZE_MAX).code()));
  EXPECT_TRUE(harmless(reader.free_inos(Ino(), SIZE_MAX).code()));
  EXPECT_TRUE(harmless(reader.mnode_marks().code()));
}

class IgnoringSink final : public SpaceSink {
 public:
  Status referenced(BlockRun) override { return {}; }
  Status unreferenced(BlockRun) override { return {}; }
};

class CountingWalk final : public TreeWalkVisitor {
 public:
  bool node(const NodeInfo& info) override {
    ++nodes;
    damaged += info.fault != NodeFault::none;
    last = info;
    return true;
  }
  bool item(const Key&, ConstBytes, BlockNo) override { return ++items < items_max; }
  uint64_t nodes = 0, damaged = 0, items = 0, items_max = UINT64_MAX;
  NodeInfo last;
};

void change_everything(NodeStore& store, const TreeRoot& root, TreeBench& tree, Random& random) {
  IgnoringSink sink;
  TreeWriter writer(store, root);
  ApplyVisitor apply(writer, sink, {tree.allocate(), [](BlockNo, ConstBytes) { return Status(); }});
  const std::vector<uint32_t> crcs(30, 1);
  const ByteVector content(100, std::byte{4});
  for (int round = 0; round < 4; ++round) {
    const Ino ino(1 + random.below(16));
    const Status steps[] = {
        apply.put_inode(ino, test_inode(1)),
        apply.put_extent(ino, random.below(100), BlockNo(5), crcs),
        apply.put_unwritten(ino, random.below(100), 50),
        apply.put_inline(ino, random.below(100), content),
        apply.punch(ino, random.below(100), UINT64_MAX),
        apply.put_dirent(ino, random.below(5), "name 3", {Ino(1), MnodeNo(1), 4}),
        apply.del_dirent(ino, random.below(5), "name 2"),
        apply.put_xattr(ino, "user.name 1", ByteVector(2000, std::byte{1})),
        apply.del_xattr(ino, "user.name 0"),
        apply.delete_inode(ino),
        apply.set_mnode_mark(2, 100)};
    for (const Status& step : steps) {
      EXPECT_TRUE(harmless(step.code())) << step.code();
      if (!step.ok()) return;
    }
  }
  EXPECT_TRUE(harmless(apply.finish().code()));
  EXPECT_TRUE(harmless(writer.erase_range(Key(), Key::end(), nullptr).code()));
}

TEST(TreeDamage, altered_bytes_behind_right_checksums) {
  set_log_level(LogLevel::error);
  uint64_t noticed = 0;
  const uint64_t seeds = testing::seeds_of(300);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    ApplyBench bench;
    fill_everything(bench, seed % 10 == 0 ? 60 : 4);
    NodeStore store(bench.tree.device, kTestUuid, kTestHashKey);
    TreeRoot root = bench.root;
    const auto choose = [&](NodeView view) -> std::optional<uint32_t> {
      if (random.percent(20)) return std::nullopt;
      return static_cast<uint32_t>(random.below(view.count()));
    };
    const auto change = [&](std::byte* page) {
      const uint64_t changes = random.between(1, 3);
      for (uint64_t i = 0; i < changes; ++i) {
        const size_t at = kNodeHeaderBytes + random.below(kNodeCapacity);
        page[at] = random.percent(50) ? std::byte(random.below(8)) : std::byte(random.next());
      }
      if (random.percent(10)) page[node_offset::count] = std::byte(random.next());
    };
    root.crc = alter_node(bench.tree.device, root_address(root), choose, change).crc;
    read_everything(store, root, random);
    CountingWalk walk;
    EXPECT_TRUE(walk_tree(store, root, walk).ok());
    EXPECT_LE(walk.nodes, 2 * bench.tree.in_use.size());
    change_everything(store, root, bench.tree, random);
    noticed += store.corruptions() > 0 || walk.damaged > 0;
  }
  EXPECT_GT(noticed, seeds / 6);
}

// A tree whose nodes are named many times over must not be walked for ages: ranges do not overlap.
TEST(TreeDamage, child_named_twice_is_found) {
  ApplyBench bench;
  fill_everything(bench, 60);
  NodeStore store(bench.tree.device, kTestUuid, kTestHashKey);
  TreeRoot root = bench.root;
  ASSERT_GE(root.height, 2u);
  root.crc = alter_node(
                 bench.tree.device, root_address(root),
                 [](NodeView) { return std::optional<uint32_t>(); },
                 [](std::byte* page) {
                   const NodeAddress first = NodeView(page).child(0);
                   for (uint32_t i = 1; i < NodeView(page).count(); ++i) {
                     child_set_address(page, i, first);
                   }
                 })
                 .crc;
  CountingWalk walk;
  EXPECT_TRUE(walk_tree(store, root, walk).ok());
  EXPECT_GE(walk.damaged, 1u);
  TreeCursor cursor(store, root);
  ASSERT_TRUE(cursor.lower_bound(Key()).ok());
  Status status;
  uint64_t steps = 0;
  while (status.ok() && cursor.valid()) {
    status = cursor.next();
    ++steps;
  }
  EXPECT_EQ(status.code(), EUCLEAN);
  TreeWriter writer(store, root);
  EXPECT_EQ(writer.erase_range(Key(), Key::end(), nullptr).code(), EUCLEAN);
}

TEST(TreeDamage, lost_and_misdirected_writes_are_found) {
  ApplyBench bench;
  fill_everything(bench, 60);
  const TreeRoot old_root = bench.root;
  MemoryDevice& device = bench.tree.device;
  AlignedBuffer page(kBlockBytes), first(kBlockBytes), second(kBlockBytes);
  ASSERT_TRUE(device.read(old_root.block, page.span()).ok());
  const NodeAddress a = NodeView(page.data()).child(0), b = NodeView(page.data()).child(1);
  ASSERT_TRUE(device.read(a.block, first.span()).ok());
  ASSERT_TRUE(device.read(b.block, second.span()).ok());
  const uint32_t level = old_root.height - 2;
  const auto fault_of = [&](const NodeAddress& address) {
    NodeFault fault = NodeFault::none;
    bench.tree.store.read_uncached(address, level, KeyRange(), &fault);
    return fault;
  };
  EXPECT_EQ(fault_of(a), NodeFault::none);
  // Misdirected: the neighbour's content.
  ASSERT_TRUE(device.write(a.block, second.span()).ok());
  EXPECT_EQ(fault_of(a), NodeFault::checksum);
  // Lost: what stood there before, valid in itself.
  AlignedBuffer older(kBlockBytes);
  std::memcpy(older.data(), first.data(), kBlockBytes);
  seal_node(older.data(), kTestUuid, a.block, a.generation - 1);
  ASSERT_TRUE(device.write(a.block, older.span()).ok());
  EXPECT_EQ(fault_of(a), NodeFault::checksum);
  NodeFault fault = NodeFault::none;
  bench.tree.store.read_uncached({BlockNo(device.block_count()), 1, 1}, level, {}, &fault);
  EXPECT_EQ(fault, NodeFault::address);
}

TEST(TreeWalk, goes_on_past_damaged_nodes) {
  ApplyBench bench;
  fill_everything(bench, 60);
  CountingWalk sound;
  ASSERT_TRUE(walk_tree(bench.tree.store, bench.root, sound).ok());
  EXPECT_EQ(sound.damaged, 0u);
  EXPECT_EQ(sound.nodes, bench.tree.in_use.size());
  // One leaf gone: its items are missing, all others are there.
  AlignedBuffer page(kBlockBytes), zero(kBlockBytes);
  BlockNo block = bench.root.block;
  uint32_t items_lost = 0;
  for (uint32_t level = bench.root.height; level-- > 0;) {
    ASSERT_TRUE(bench.tree.device.read(block, page.span()).ok());
    const NodeView view(page.data());
    items_lost = view.count();
    if (level > 0) block = view.child(view.count() / 2).block;
  }
  ASSERT_TRUE(bench.tree.device.write(block, zero.span()).ok());
  CountingWalk walk;
  EXPECT_TRUE(walk_tree(bench.tree.store, bench.root, walk).ok());
  EXPECT_EQ(walk.damaged, 1u);
  EXPECT_EQ(walk.nodes, sound.nodes);
  EXPECT_EQ(walk.items, sound.items - items_lost);
  CountingWalk short_walk;
  short_walk.items_max = 10;
  EXPECT_EQ(walk_tree(bench.tree.store, bench.root, short_walk).code(), ECANCELED);
  EXPECT_EQ(short_walk.items, 10u);
  TreeRoot too_high = bench.root;
  too_high.height = 13;
  EXPECT_EQ(walk_tree(bench.tree.store, too_high, walk).code(), EUCLEAN);
  EXPECT_EQ(TreeReader(bench.tree.store, too_high).inode(Ino(1)).code(), EUCLEAN);
}

}  // namespace
}  // namespace scalefs::diskfs
