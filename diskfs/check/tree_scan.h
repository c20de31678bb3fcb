// The first pass of the checker: every node and every item of the tree, each by itself and against
// its neighbours of the same inode. Gathers what the second pass (links.h) needs.
//
// Several threads share the tree: it is cut into parts (tree_parts.h), and an inode belongs to the part whose range
// holds its first key, wherever its other items are. A part's scan leaves out items at its beginning
// that belong to a part before, and follows its last inode into the parts behind it (`tail`), whose nodes
// count for those. What is found comes in the order of the parts, which does not depend on the threads.
//
// What only a whole inode can show (missing items, counts) is told of those that no lost node may have
// had items of.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "diskfs/check/block_refs.h"
#include "diskfs/check/finding.h"
#include "diskfs/check/inode_table.h"
#include "diskfs/check/tree_parts.h"
#include "diskfs/items.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

struct TreeScanResult {
  Findings findings;
  InodeTable table;
  std::vector<uint64_t> twice;  // blocks that were referenced before
  // Whether every node could be read, and every item that names something else: otherwise inodes, names and
  // references may be missing.
  bool complete = true;
  uint64_t nodes = 0;
  uint64_t pages = 0;  // mapped

  // What a later part of the tree has.
  void add(TreeScanResult&& more);
};

// Scans the tree of `sb` by `workers` threads. `progress` is told the number of inodes met so far, by one thread
// at a time. Marks what is referenced in `refs`.
TreeScanResult scan_tree(NodeStore& store, const Superblock& sb, BlockRefs& refs, size_t workers,
                         const std::function<void(uint64_t inodes)>& progress);

// One part, by one thread.
class TreeScan final : public TreeWalkVisitor {
 public:
  // All must outlive the scan.
  TreeScan(const Superblock& sb, BlockRefs& refs, TreeScanResult& to)
      : sb_(sb), refs_(refs), to_(to), findings_(to.findings), table_(to.table) {}

  // Which part it is; before its nodes.
  void begin(const KeyRange& range);
  // The nodes that follow are those of the parts behind.
  void begin_tail() { tail_ = true; }
  // Whether a node with keys from `low` on may have items that are this scan's.
  bool wants(const Key& low) const { return low.ino <= last_ino_ && first_ino_ <= last_ino_; }
  // A node that cannot be read and that somebody else has told.
  void lose(const KeyRange& range);
  // After the walk.
  void finish() { end_inode(); }

  bool node(const NodeInfo& info) override;
  bool item(const Key& key, ConstBytes value, BlockNo leaf) override;

 private:
  // The inode whose items are being met.
  struct Current {
    uint64_t ino = 0;
    bool present = false;
    bool whole = true;  // no node was lost that may have had items of it
    InodeItem item;
    uint64_t pages = 0;
    uint64_t entries = 0;
    uint64_t next_page = 0;  // behind the last mapping
    struct Chunked {
      uint32_t value_bytes = 0;
      uint32_t seen = 0;  // chunk items met, each the one expected
    };
    std::map<uint64_t, Chunked> chunked;  // attributes with chunk items, by chunk id
  };

  void begin_inode(uint64_t ino);
  void end_inode();
  // Something that counts for the inode cannot be decoded.
  void lose_item();
  void reference(BlockRun run, const std::function<std::string()>& what);
  // Each answers whether the item is one that an encoder writes.
  bool global_item(const Key& key, ConstBytes value);
  bool owned_item(const Key& key, ConstBytes value);
  bool inode_item(const Key& key, ConstBytes value);
  bool dirent_item(const Key& key, ConstBytes value);
  bool mapping_item(const Key& key, ConstBytes value);
  bool xattr_item(const Key& key, ConstBytes value);
  void chunk_item(const Key& key, ConstBytes value);
  void check_attributes(const InodeItem& item);

  const Superblock& sb_;
  BlockRefs& refs_;
  TreeScanResult& to_;
  Findings& findings_;
  InodeTable& table_;
  Current current_;
  bool tail_ = false;
  uint64_t first_ino_ = 0, last_ino_ = UINT64_MAX;  // this part's
  Key lost_to_;  // behind the keys of the last node that was lost
};

}  // namespace scalefs::diskfs
