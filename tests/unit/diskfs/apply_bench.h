// Batches applied to a tree on a memory device, with the reference model beside it.
#pragma once

#include <list>

#include "base/hash.h"
#include "diskfs/checkpoint_bound.h"
#include "tests/unit/diskfs/apply_model.h"
#include "tests/unit/diskfs/tree_test_util.h"

namespace scalefs::diskfs {

class ApplyBench {
 public:
  explicit ApplyBench(const NodeStore::Options& options = {}) : tree(1u << 22, options) {
    start();
  }

  void start() {
    apply.reset();
    writer = std::make_unique<TreeWriter>(tree.store, root);
    apply = std::make_unique<ApplyVisitor>(
        *writer, sink, ApplyVisitor::Callbacks{tree.allocate(), tree.write()});
    work = PendingWork();
    batches.clear();
  }
  // To the tree and to the model.
  void run(const Batch& batch) {
    ASSERT_TRUE(visit_batch(batch.bytes(), model).ok());
    replay(batch);
  }
  // To the tree alone.
  void replay(const Batch& batch) {
    const Batch& kept = batches.emplace_back(batch);
    const Status status = visit_batch(kept.bytes(), *apply);
    ASSERT_TRUE(status.ok()) << status.code();
    ASSERT_TRUE(work.add(kept.bytes()).ok());
  }
  void checkpoint() {
    const uint64_t nodes_before = tree.in_use.size();
    const uint64_t bound = checkpoint_blocks_bound(work, root.height, nodes_before);
    ASSERT_TRUE(apply->finish().ok());
    const uint64_t needed = writer->dirty_nodes() + apply->statistics().inline_pages_written;
    EXPECT_LE(needed, bound);
    EXPECT_LE(needed, checkpoint_blocks_bound(work, root.height, UINT64_MAX));
    root = tree.checkpoint(*writer);
    start();
  }
  TreeReader reader() { return TreeReader(tree.store, root); }
  // A run of data blocks of the test's own; far from those of the nodes.
  BlockNo data_blocks(uint64_t count) {
    const BlockNo first(next_data);
    next_data += count;
    return first;
  }

  // The durable tree holds exactly what the model does, and the blocks that the sink counted.
  void expect_same();
  void expect_inode(Ino ino, const ModelInode& inode);
  void expect_pages(Ino ino, const ModelInode& inode, std::set<uint64_t>* blocks);

  TreeBench tree;
  TreeRoot root;
  ModelSink sink;
  ApplyModel model;
  PendingWork work;
  std::list<Batch> batches;  // until the checkpoint
  std::unique_ptr<TreeWriter> writer;
  std::unique_ptr<ApplyVisitor> apply;
  uint64_t next_data = 2u << 20;
};

inline void ApplyBench::expect_pages(Ino ino, const ModelInode& inode,
                                     std::set<uint64_t>* blocks) {
  const auto mappings = reader().map(ino, 0, UINT64_MAX);
  ASSERT_TRUE(mappings.ok());
  auto expected = inode.pages.begin();
  std::vector<std::byte> page(kBlockBytes);
  for (const Mapping& mapping : *mappings) {
    for (uint64_t i = 0; i < mapping.count; ++i, ++expected) {
      ASSERT_TRUE(expected != inode.pages.end());
      ASSERT_EQ(mapping.page + i, expected->first);
      const ModelPage& want = expected->second;
      if (mapping.kind == Mapping::Kind::extent) {
        ASSERT_TRUE(blocks->insert(mapping.block.v + i).second);
      }
      if (want.kind == Mapping::Kind::inline_data) {
        if (mapping.kind == Mapping::Kind::inline_data) {
          page = mapping.bytes;
          page.resize(kBlockBytes);
        } else {
          ASSERT_EQ(mapping.kind, Mapping::Kind::extent);
          ASSERT_TRUE(tree.device.read(BlockNo(mapping.block.v + i), page).ok());
          ASSERT_EQ(crc32c(page.data(), page.size()), mapping.crcs[i]);
        }
        ASSERT_EQ(page, want.content);
      } else {
        ASSERT_EQ(mapping.kind, want.kind);
        if (want.kind == Mapping::Kind::extent) {
          ASSERT_EQ(mapping.block.v + i, want.block);
          ASSERT_EQ(mapping.crcs[i], want.crc);
        }
      }
    }
  }
  ASSERT_TRUE(expected == inode.pages.end());
}

inline void ApplyBench::expect_inode(Ino ino, const ModelInode& inode) {
  const auto item = reader().inode(ino);
  ASSERT_TRUE(item.ok());
  InodeItem want = inode.item;
  want.blocks = inode.pages.size();
  want.entries = inode.entries.size();
  ASSERT_EQ(*item, want);
  auto expected = inode.entries.begin();
  for (std::optional<uint64_t> from = 0; from;) {
    const auto range = reader().list(ino, *from, 3);
    ASSERT_TRUE(range.ok());
    for (const Dirent& entry : range->entries) {
      ASSERT_TRUE(expected != inode.entries.end());
      ASSERT_EQ(std::pair(entry.hash, entry.name), expected->first);
      ASSERT_EQ(entry.target, expected->second);
      ++expected;
    }
    ASSERT_TRUE(!range->next || *range->next > *from);
    from = range->next;
  }
  ASSERT_TRUE(expected == inode.entries.end());
  const auto xattrs = reader().xattrs(ino);
  ASSERT_TRUE(xattrs.ok());
  std::map<std::string, ByteVector> found;
  for (const XattrEntry& entry : *xattrs) found[entry.name] = entry.value;
  ASSERT_EQ(found, inode.xattrs);
  for (const auto& [name, value] : inode.xattrs) {
    const auto one = reader().xattr(ino, name);
    ASSERT_TRUE(one.ok());
    ASSERT_EQ(*one, value);
  }
}

inline void ApplyBench::expect_same() {
  std::set<uint64_t> blocks;
  for (const auto& [number, inode] : model.inodes) {
    SCOPED_TRACE("inode " + std::to_string(number));
    expect_inode(Ino(number), inode);
    expect_pages(Ino(number), inode, &blocks);
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_EQ(blocks, sink.blocks);
  const TreeCollector found = collect_tree(tree.store, root);
  EXPECT_EQ(found.blocks, tree.in_use);
  for (const auto& [key, value] : found.items) {
    ASSERT_TRUE(key.ino == 0 || model.inodes.contains(key.ino)) << "item of a deleted inode";
  }
  const auto numbers = [](const std::vector<Ino>& list) {
    std::set<uint64_t> set;
    for (const Ino ino : list) set.insert(ino.v);
    return set;
  };
  EXPECT_EQ(numbers(*reader().orphans(Ino(), SIZE_MAX)), model.orphans);
  EXPECT_EQ(numbers(*reader().free_inos(Ino(), SIZE_MAX)), model.recycled);
  const auto marks = *reader().mnode_marks();
  EXPECT_EQ((std::map<uint32_t, uint64_t>(marks.begin(), marks.end())), model.marks);
}

inline InodeItem test_inode(uint64_t mnode, uint32_t mode = 0100644) {
  InodeItem item;
  item.mnode = MnodeNo(mnode);
  item.mode = mode;
  item.nlink = 1;
  item.size = 4096;
  item.mtime_ns = static_cast<int64_t>(mnode) * 1000;
  return item;
}

inline std::vector<uint32_t> test_crcs(size_t count, uint32_t salt) {
  std::vector<uint32_t> crcs(count);
  for (size_t i = 0; i < count; ++i) crcs[i] = salt * 1000 + static_cast<uint32_t>(i);
  return crcs;
}

}  // namespace scalefs::diskfs
