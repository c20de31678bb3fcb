// The first pass of the checker: every node and every item of the tree, each by itself and against
// its neighbours of the same inode. Gathers what the second pass (links.h) needs.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "diskfs/check/block_refs.h"
#include "diskfs/check/finding.h"
#include "diskfs/check/inode_table.h"
#include "diskfs/items.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

class TreeScan final : public TreeWalkVisitor {
 public:
  // All must outlive the scan.
  TreeScan(const HashKey& key, BlockRefs& refs, InodeTable& table, Findings& findings)
      : key_(key), refs_(refs), table_(table), findings_(findings) {}

  bool node(const NodeInfo& info) override;
  bool item(const Key& key, ConstBytes value, BlockNo leaf) override;
  // Called at each inode with the number of them so far.
  void show_progress(std::function<void(uint64_t inodes)> show) { show_ = std::move(show); }
  // After the walk.
  void finish();

  // Whether every node could be read: otherwise inodes and names may be missing from the table.
  bool complete() const { return complete_; }
  uint64_t nodes() const { return nodes_; }
  uint64_t items() const { return items_; }
  uint64_t pages() const { return pages_; }

 private:
  // The inode whose items are being met.
  struct Current {
    uint64_t ino = 0;
    bool present = false;
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
  // Each answers whether the item is one that an encoder writes.
  bool global_item(const Key& key, ConstBytes value);
  bool owned_item(const Key& key, ConstBytes value);
  bool inode_item(const Key& key, ConstBytes value);
  bool dirent_item(const Key& key, ConstBytes value);
  bool mapping_item(const Key& key, ConstBytes value);
  bool xattr_item(const Key& key, ConstBytes value);
  void chunk_item(const Key& key, ConstBytes value);
  void check_attributes(const InodeItem& item);

  const HashKey key_;
  BlockRefs& refs_;
  InodeTable& table_;
  Findings& findings_;
  Current current_;
  std::function<void(uint64_t inodes)> show_;
  bool complete_ = true;
  uint64_t nodes_ = 0;
  uint64_t items_ = 0;
  uint64_t pages_ = 0;
};

}  // namespace scalefs::diskfs
