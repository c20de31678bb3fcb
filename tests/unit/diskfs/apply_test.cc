// Single behaviours of the apply function and of the reader.
#include "base/memory.h"
#include "tests/unit/diskfs/apply_bench.h"

namespace scalefs::diskfs {
namespace {

constexpr Ino kFile{7};

ByteVector pattern(size_t size, uint8_t salt) {
  ByteVector bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(1 + (i * 7 + salt) % 250);
  return bytes;
}

class Apply : public testing::Test {
 protected:
  void SetUp() override {
    Batch first;
    first.put_inode(kRootIno, test_inode(1, 040755));
    first.put_inode(kFile, test_inode(7));
    bench.run(first);
  }
  // Runs the batch and brings it to the device.
  void settle(Batch& operations) {
    bench.run(operations);
    bench.checkpoint();
    bench.expect_same();
    operations.clear();
  }
  std::vector<Mapping> map(uint64_t page = 0, uint64_t count = UINT64_MAX) {
    return *bench.reader().map(kFile, page, count);
  }
  ApplyBench bench;
  Batch batch;
};

TEST_F(Apply, neighbouring_extents_become_one_item) {
  const BlockNo first = bench.data_blocks(130);
  for (uint64_t i = 0; i < 130; ++i) {
    batch.put_extent(kFile, i, BlockNo(first.v + i), test_crcs(1, uint32_t(i)));
  }
  settle(batch);
  ASSERT_EQ(map().size(), 2u);
  EXPECT_EQ(map()[0].count, 128u);
  EXPECT_EQ(map()[1].count, 2u);
  // The block between two extents joins them.
  const BlockNo other = bench.data_blocks(9);
  batch.put_extent(kFile, 1000, other, test_crcs(4, 1));
  batch.put_extent(kFile, 1005, BlockNo(other.v + 5), test_crcs(4, 2));
  batch.put_extent(kFile, 1004, BlockNo(other.v + 4), test_crcs(1, 3));
  settle(batch);
  ASSERT_EQ(map(1000, 100).size(), 1u);
  EXPECT_EQ(map(1000, 100)[0].count, 9u);
}

TEST_F(Apply, map_cuts_to_the_range) {
  batch.put_extent(kFile, 10, bench.data_blocks(20), test_crcs(20, 1));
  batch.put_unwritten(kFile, 40, 10);
  settle(batch);
  const auto cut = map(15, 30);
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_EQ(cut[0].page, 15u);
  EXPECT_EQ(cut[0].count, 15u);
  const auto crcs = test_crcs(20, 1);
  EXPECT_EQ(cut[0].crcs, std::vector<uint32_t>(crcs.begin() + 5, crcs.end()));
  EXPECT_EQ(cut[0].block.v, map()[0].block.v + 5);
  EXPECT_EQ(cut[1].page, 40u);
  EXPECT_EQ(cut[1].count, 5u);
  EXPECT_TRUE(map(30, 10).empty());
  EXPECT_TRUE(map(50, 1000).empty());
  EXPECT_TRUE(map(0, 0).empty());
  EXPECT_TRUE(map(UINT64_MAX, 5).empty());
}

TEST_F(Apply, tiny_content_of_the_first_page_is_an_item) {
  batch.put_inline(kFile, 0, pattern(1024, 1));
  settle(batch);
  EXPECT_EQ(map()[0].kind, Mapping::Kind::inline_data);
  // Trailing zeros do not count.
  ByteVector padded = pattern(1000, 2);
  padded.resize(kBlockBytes);
  batch.put_inline(kFile, 0, padded);
  settle(batch);
  EXPECT_EQ(map()[0].bytes.size(), 1000u);
  EXPECT_TRUE(bench.sink.blocks.empty());
  batch.put_inline(kFile, 0, pattern(1025, 3));
  settle(batch);
  EXPECT_EQ(map()[0].kind, Mapping::Kind::extent);
  EXPECT_EQ(bench.sink.blocks.size(), 1u);
  batch.put_inline(kFile, 0, {});
  settle(batch);
  EXPECT_EQ(map()[0].kind, Mapping::Kind::inline_data);
  EXPECT_TRUE(bench.sink.blocks.empty());
}

TEST_F(Apply, superseded_inline_pages_cost_no_block) {
  Batch second;
  for (uint64_t page = 1; page <= 60; ++page) batch.put_inline(kFile, page, pattern(4096, 1));
  for (uint64_t page = 1; page <= 20; ++page) second.put_inline(kFile, page, pattern(4096, 2));
  second.punch(kFile, 11, 21);
  second.put_extent(kFile, 21, bench.data_blocks(10), test_crcs(10, 1));
  second.put_unwritten(kFile, 1, 60);
  bench.run(batch);
  bench.run(second);
  const uint64_t written = bench.tree.next_block;
  ASSERT_TRUE(bench.apply->finish().ok());
  EXPECT_EQ(bench.tree.next_block - written, 40u);  // 1..10 and 31..60
  EXPECT_EQ(bench.apply->statistics().inline_pages_written, 40u);
  EXPECT_EQ(bench.apply->statistics().inline_pages_superseded, 40u);
  bench.checkpoint();
  bench.expect_same();
  // Deleted before they were placed.
  Batch third;
  third.put_inline(kFile, 100, pattern(4096, 3));
  third.delete_inode(kFile);
  bench.run(third);
  bench.checkpoint();
  bench.expect_same();
  EXPECT_TRUE(bench.sink.blocks.empty());
}

TEST_F(Apply, unwritten_fills_holes_only) {
  batch.put_extent(kFile, 5, bench.data_blocks(5), test_crcs(5, 1));
  batch.put_inline(kFile, 20, pattern(4096, 1));
  batch.put_unwritten(kFile, 0, 30);
  settle(batch);
  const auto mappings = map();
  ASSERT_EQ(mappings.size(), 5u);
  EXPECT_EQ(mappings[0].count, 5u);
  EXPECT_EQ(mappings[1].kind, Mapping::Kind::extent);
  EXPECT_EQ(mappings[2].count, 10u);
  EXPECT_EQ(mappings[3].kind, Mapping::Kind::extent);
  EXPECT_EQ(mappings[4].count, 9u);
  EXPECT_EQ(bench.reader().inode(kFile)->blocks, 30u);
  // A very long range is one item.
  Batch whole;
  whole.put_unwritten(kFile, 1000, kFilePagesMax - 1000);
  bench.replay(whole);
  bench.checkpoint();
  EXPECT_EQ(map(1000).size(), 1u);
  EXPECT_EQ(bench.reader().inode(kFile)->blocks, 30 + kFilePagesMax - 1000);
}

TEST_F(Apply, overwritten_blocks_are_freed_and_the_same_ones_kept) {
  const BlockNo first = bench.data_blocks(10);
  batch.put_extent(kFile, 0, first, test_crcs(10, 1));
  settle(batch);
  // The same blocks with other checksums, two of them elsewhere.
  batch.put_extent(kFile, 2, BlockNo(first.v + 2), test_crcs(3, 9));
  batch.put_extent(kFile, 6, bench.data_blocks(2), test_crcs(2, 2));
  settle(batch);
  EXPECT_EQ(bench.sink.blocks.size(), 10u);
  EXPECT_EQ(bench.sink.freed, 2u);
  EXPECT_FALSE(bench.sink.blocks.contains(first.v + 6));
  EXPECT_EQ(bench.reader().inode(kFile)->blocks, 10u);
}

TEST_F(Apply, attributes_keep_the_counts) {
  batch.put_extent(kFile, 0, bench.data_blocks(10), test_crcs(10, 1));
  batch.put_dirent(kRootIno, 1, "file", {kFile, MnodeNo(7), 8});
  settle(batch);
  InodeItem item = test_inode(7);
  item.blocks = 12345;
  item.entries = 99;
  item.uid = 5;
  Batch change;
  change.put_inode(kFile, item);
  item.blocks = item.entries = 0;
  settle(change);
  EXPECT_EQ(bench.reader().inode(kFile)->blocks, 10u);
  EXPECT_EQ(bench.reader().inode(kFile)->uid, 5u);
  EXPECT_EQ(bench.reader().inode(kRootIno)->entries, 1u);
}

TEST_F(Apply, numbers_are_recycled_and_used_again) {
  batch.put_orphan(kFile);
  settle(batch);
  EXPECT_EQ(bench.reader().orphans(Ino(), 10)->size(), 1u);
  batch.delete_inode(kFile);
  bench.run(batch);
  batch.clear();
  settle(batch);
  EXPECT_EQ(bench.reader().inode(kFile).code(), ENOENT);
  EXPECT_EQ(bench.reader().free_inos(Ino(), 10)->size(), 1u);
  EXPECT_TRUE(bench.reader().free_inos(Ino(8), 10)->empty());
  EXPECT_TRUE(bench.reader().orphans(Ino(), 10)->empty());
  batch.put_inode(kFile, test_inode(70));
  bench.run(batch);
  EXPECT_EQ(bench.apply->statistics().inos_reused, 1u);
  batch.clear();
  settle(batch);
  EXPECT_TRUE(bench.reader().free_inos(Ino(), 10)->empty());
  EXPECT_EQ(bench.reader().inode(kFile)->mnode.v, 70u);
  EXPECT_EQ(bench.reader().inode(kFile)->blocks, 0u);
}

TEST_F(Apply, what_a_replay_meets_is_ok) {
  batch.delete_inode(Ino(500));
  batch.del_dirent(Ino(500), 1, "name");
  batch.del_dirent(kRootIno, 1, "name");
  batch.del_xattr(Ino(500), "user.a");
  batch.del_xattr(kFile, "user.a");
  batch.punch(Ino(500), 0, UINT64_MAX);
  batch.punch(kFile, 3, 4);
  batch.del_orphan(Ino(500));
  settle(batch);
  EXPECT_TRUE(bench.reader().free_inos(Ino(), 10)->empty());
}

TEST_F(Apply, contradictions_are_refused) {
  const auto refused = [&](auto&& fill) {
    Batch bad;
    fill(bad);
    TreeWriter writer(bench.tree.store, bench.root);
    ApplyVisitor apply(writer, bench.sink, {bench.tree.allocate(), bench.tree.write()});
    return visit_batch(bad.bytes(), apply).code() == EUCLEAN;
  };
  const uint32_t crc[] = {1};
  EXPECT_TRUE(refused([&](Batch& b) { b.put_extent(Ino(9), 0, BlockNo(9), crc); }));
  EXPECT_TRUE(refused([&](Batch& b) { b.put_unwritten(Ino(9), 0, 1); }));
  EXPECT_TRUE(refused([&](Batch& b) { b.put_inline(Ino(9), 0, {}); }));
  EXPECT_TRUE(refused([&](Batch& b) { b.put_dirent(Ino(9), 0, "a", {Ino(1), MnodeNo(1), 4}); }));
  EXPECT_TRUE(refused([&](Batch& b) { b.put_xattr(Ino(9), "user.a", {}); }));
  EXPECT_TRUE(refused([&](Batch& b) {
    InodeItem item = test_inode(9);
    item.size = kFileBytesMax + 1;
    b.put_inode(Ino(9), item);
  }));
}

TEST_F(Apply, sink_and_callbacks_can_refuse) {
  struct Refusing final : SpaceSink {
    Status referenced(BlockRun) override { return Errno(EUCLEAN); }
    Status unreferenced(BlockRun) override { return Errno(EUCLEAN); }
  } refusing;
  TreeWriter writer(bench.tree.store, TreeRoot());
  ApplyVisitor apply(writer, refusing,
                     {[](uint64_t) -> Result<BlockRun> { return Errno(ENOSPC); },
                      [](BlockNo, ConstBytes) -> Status { return Errno(EIO); }});
  ASSERT_TRUE(apply.put_inode(kFile, test_inode(7)).ok());
  const uint32_t crc[] = {1};
  EXPECT_EQ(apply.put_extent(kFile, 0, BlockNo(9), crc).code(), EUCLEAN);
  const ByteVector page = pattern(4096, 1);
  ASSERT_TRUE(apply.put_inline(kFile, 9, page).ok());
  EXPECT_EQ(apply.finish().code(), ENOSPC);
}

TEST_F(Apply, large_xattr_values) {
  const size_t sizes[] = {0, 1, 512, 513, 1320, 1321, 30000, 65536};
  for (const size_t size : sizes) batch.put_xattr(kFile, "user." + std::to_string(size),
                                                  pattern(size, uint8_t(size)));
  settle(batch);
  // Grown, shrunk, moved in and out of chunks, removed.
  batch.put_xattr(kFile, "user.0", pattern(65536, 5));
  batch.put_xattr(kFile, "user.65536", pattern(600, 6));
  batch.put_xattr(kFile, "user.30000", pattern(10, 7));
  batch.put_xattr(kFile, "user.1321", pattern(40000, 8));
  batch.del_xattr(kFile, "user.1320");
  settle(batch);
  EXPECT_EQ(bench.reader().xattr(kFile, "user.1320").code(), ENODATA);
  for (const size_t size : sizes) batch.del_xattr(kFile, "user." + std::to_string(size));
  settle(batch);
  EXPECT_EQ(collect_tree(bench.tree.store, bench.root).items.size(), 2u);
}

TEST_F(Apply, thousand_xattrs_on_an_inode) {
  for (int i = 0; i < 1000; ++i) {
    batch.put_xattr(kFile, "user.number" + std::to_string(i), pattern(i % 700, uint8_t(i)));
  }
  settle(batch);
  EXPECT_EQ(bench.reader().xattrs(kFile)->size(), 1000u);
  for (int i = 0; i < 1000; i += 2) batch.del_xattr(kFile, "user.number" + std::to_string(i));
  settle(batch);
  batch.delete_inode(kFile);
  settle(batch);
}

TEST(ApplyCollisions, attributes_of_one_hash) {
  ApplyBench bench({.xattr_hash_mask = 0});
  Batch batch;
  batch.put_inode(kFile, test_inode(7));
  for (int i = 0; i < 6; ++i) {
    batch.put_xattr(kFile, "user.small" + std::to_string(i), pattern(200, uint8_t(i)));
    batch.put_xattr(kFile, "user.large" + std::to_string(i), pattern(9000, uint8_t(i)));
  }
  bench.run(batch);
  bench.checkpoint();
  bench.expect_same();
  batch.clear();
  for (int i = 0; i < 6; i += 2) batch.del_xattr(kFile, "user.large" + std::to_string(i));
  bench.run(batch);
  bench.checkpoint();
  bench.expect_same();
  // More than fits is an error, not damage.
  TreeWriter writer(bench.tree.store, bench.root);
  ApplyVisitor apply(writer, bench.sink, {bench.tree.allocate(), bench.tree.write()});
  int code = 0;
  for (int i = 0; i < 20 && code == 0; ++i) {
    code = apply.put_xattr(kFile, "user.more" + std::to_string(i), pattern(500, 1)).code();
  }
  EXPECT_EQ(code, EOVERFLOW);
}

TEST_F(Apply, names_of_one_hash) {
  const std::string prefix(250, 'l');
  for (int i = 0; i < 7; ++i) {
    batch.put_dirent(kRootIno, 42, prefix + std::to_string(i), {kFile, MnodeNo(7), 8});
  }
  batch.put_dirent(kRootIno, 41, "before", {kFile, MnodeNo(7), 8});
  batch.put_dirent(kRootIno, UINT64_MAX, "behind", {kFile, MnodeNo(7), 8});
  settle(batch);
  EXPECT_EQ(bench.reader().dirents(kRootIno, 42)->size(), 7u);
  EXPECT_TRUE(bench.reader().dirents(kRootIno, 43)->empty());
  EXPECT_TRUE(bench.reader().dirents(Ino(99), 42)->empty());
  // All of one hash or none of them.
  const auto range = *bench.reader().list(kRootIno, 41, 2);
  EXPECT_EQ(range.entries.size(), 8u);
  EXPECT_EQ(range.next, UINT64_MAX);
  EXPECT_FALSE(bench.reader().list(kRootIno, UINT64_MAX, 1)->next);
  batch.put_dirent(kRootIno, 42, prefix + "3", {Ino(8), MnodeNo(9), 4});
  batch.del_dirent(kRootIno, 42, prefix + "4");
  batch.del_dirent(kRootIno, 43, prefix + "5");
  settle(batch);
  EXPECT_EQ(bench.reader().inode(kRootIno)->entries, 8u);
  TreeWriter writer(bench.tree.store, bench.root);
  ApplyVisitor apply(writer, bench.sink, {bench.tree.allocate(), bench.tree.write()});
  int code = 0;
  for (int i = 0; i < 9 && code == 0; ++i) {
    code = apply.put_dirent(kRootIno, 42, prefix + "x" + std::to_string(i),
                            {kFile, MnodeNo(7), 8}).code();
  }
  EXPECT_EQ(code, EOVERFLOW);
}

TEST_F(Apply, directory_of_ten_thousand_entries) {
  for (uint64_t i = 0; i < 10000; ++i) {
    const std::string name = "entry number " + std::to_string(i);
    batch.put_dirent(kRootIno, siphash24(kTestHashKey, name), name,
                     {Ino(10 + i), MnodeNo(100 + i), 8});
  }
  settle(batch);
  EXPECT_EQ(bench.reader().inode(kRootIno)->entries, 10000u);
  // Paging by the hash: every entry once, in order.
  uint64_t seen = 0, last = 0;
  for (std::optional<uint64_t> from = 0; from;) {
    const auto range = *bench.reader().list(kRootIno, *from, 97);
    for (const Dirent& entry : range.entries) {
      EXPECT_TRUE(seen == 0 || entry.hash > last);
      last = entry.hash;
      ++seen;
    }
    from = range.next;
  }
  EXPECT_EQ(seen, 10000u);
  // One more entry changes one path.
  batch.put_dirent(kRootIno, siphash24(kTestHashKey, "new"), "new", {kFile, MnodeNo(7), 8});
  bench.run(batch);
  ASSERT_TRUE(bench.apply->finish().ok());
  EXPECT_LE(bench.writer->dirty_nodes(), 4u);
  batch.clear();
  for (uint64_t i = 0; i < 10000; ++i) {
    const std::string name = "entry number " + std::to_string(i);
    batch.del_dirent(kRootIno, siphash24(kTestHashKey, name), name);
  }
  batch.del_dirent(kRootIno, siphash24(kTestHashKey, "new"), "new");
  settle(batch);
  EXPECT_EQ(bench.reader().inode(kRootIno)->entries, 0u);
}

// A file with many extents goes without being held in memory or rewritten.
TEST(ApplyLarge, deleting_a_big_file) {
  ApplyBench bench({.cache_bytes = 64 << 10});
  Batch batch;
  batch.put_inode(kFile, test_inode(7));
  batch.put_inode(Ino(6), test_inode(6));
  batch.put_inode(Ino(8), test_inode(8));
  bench.run(batch);
  for (uint64_t i = 0; i < 50000; ++i) {
    batch.clear();
    batch.put_extent(kFile, i * 2, bench.data_blocks(1), test_crcs(1, uint32_t(i)));
    bench.replay(batch);
  }
  bench.checkpoint();
  EXPECT_EQ(bench.sink.blocks.size(), 50000u);
  const int64_t before = memory_bytes(MemoryClass::tree_node);
  batch.clear();
  batch.delete_inode(kFile);
  bench.run(batch);
  EXPECT_LE(bench.writer->dirty_nodes(), 6u);
  EXPECT_LT(memory_bytes(MemoryClass::tree_node) - before, 40 * 5000);
  bench.checkpoint();
  bench.expect_same();
  EXPECT_TRUE(bench.sink.blocks.empty());
}

TEST_F(Apply, mnode_marks_only_rise) {
  batch.set_mnode_mark(3, 100);
  batch.set_mnode_mark(3, 50);
  batch.set_mnode_mark(1, 7);
  settle(batch);
  const std::vector<std::pair<uint32_t, uint64_t>> want = {{1, 7}, {3, 100}};
  EXPECT_EQ(*bench.reader().mnode_marks(), want);
}

}  // namespace
}  // namespace scalefs::diskfs
