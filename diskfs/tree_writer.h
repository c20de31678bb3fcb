// The mutable tree of a checkpoint: copy-on-write over a durable one. A node that is changed is
// copied into memory first; write_out gives every such node a block of its own, so that no block
// that a durable checkpoint references is ever written (I7). Unchanged nodes stay where they are and
// are read through the node store.
//
// Fill: after an erase a node that is less than a third full is merged with a neighbour, or shares
// with it; an emptied node goes, and the tree loses levels at the root. A non-root internal node
// keeps at least a quarter of kChildrenMax children.
//
// Memory: one page for each changed node; dropped leaves take none (but 16 bytes a run of blocks). A few unchanged nodes
// stay in memory with the last paths.
//
// Not thread-safe: one checkpointer. Readers of older roots run concurrently, untouched.
// Errors: EIO and EUCLEAN from reading nodes. After an error the writer's content is undefined:
// drop it and start again from the root.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "diskfs/node_store.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

class TreeWriter {
 public:
  TreeWriter(NodeStore& store, const TreeRoot& root);
  ~TreeWriter();
  TreeWriter(const TreeWriter&) = delete;
  TreeWriter& operator=(const TreeWriter&) = delete;

  struct Item {
    Key key;
    std::vector<std::byte> value;
  };
  // Whether the item is there; its value into `value` unless that is null.
  Result<bool> find(const Key& key, std::vector<std::byte>* value);
  // The first item with key >= `key` and < `end`, the last with key <= `key` and >= `begin`.
  Result<bool> ceiling(const Key& key, const Key& end, Item* item);
  Result<bool> floor(const Key& key, const Key& begin, Item* item);

  // Inserts or replaces; value.size() <= kItemValueMax. Changes no node when the value is already
  // that.
  Status put(const Key& key, ConstBytes value);
  // Removes the item; false when it is not there.
  Result<bool> erase(const Key& key);

  // Called with each item; a status other than ok ends the walk. Must not touch the tree.
  using ItemVisitor = std::function<Status(const Key& key, ConstBytes value)>;
  // Items of [from, to) in order.
  Status visit(const Key& from, const Key& to, const ItemVisitor& visitor);
  // Removes the items of [from, to), after `visitor` (may be null) saw each. Leaves that fall away
  // whole are read, not copied.
  Status erase_range(const Key& from, const Key& to, const ItemVisitor& visitor);

  // A run of 1..want free blocks.
  using Allocate = std::function<Result<BlockRun>(uint64_t want)>;
  using Write = std::function<Status(BlockNo first, ConstBytes from)>;
  struct WriteOut {
    TreeRoot root;
    std::vector<BlockRun> used;      // blocks of the new nodes
    std::vector<BlockRun> replaced;  // blocks of nodes that the new tree does not use any more
    uint64_t nodes_written = 0;
  };
  // Writes all changed nodes, children before parents, neighbouring blocks in one write. The new root is
  // durable only after a flush by the caller. Goes on with the new tree afterwards, unless it failed.
  // With nothing changed the root stays (generation too) and nothing is written.
  Result<WriteOut> write_out(const Allocate& allocate, const Write& write, uint64_t generation);

  uint64_t dirty_nodes() const { return dirty_nodes_; }
  uint64_t replaced_nodes() const { return replaced_nodes_; }
  uint32_t height() const { return height_; }
  NodeStore& store() { return store_; }

 private:
  struct DirtyNode;
  struct Step;
  struct Path;
  struct Paths;
  struct Sealed;

  std::unique_ptr<DirtyNode> new_node(uint32_t level);
  void free_node(std::unique_ptr<DirtyNode> node);
  void forget_clean(BlockNo block);

  // Paths from the root to a leaf. at() answers one of paths_, good until the next at().
  Status load(Path* path, uint32_t depth, DirtyNode* dirty, const NodeAddress& address,
              const KeyRange& range);
  Status load_root(Path* path);
  Status load_child(Path* path, uint32_t depth);
  Status descend(const Key& key, Path* path);
  Result<Path*> at(const Key& key);
  Result<bool> step_leaf(Path* path, bool forward);
  Result<Path*> seek(const Key& key);
  void make_dirty(Path* path, uint32_t depth);

  // Growing.
  void put_first(const Key& key, ConstBytes value);
  void split_leaf(Path* path, const Key& key, ConstBytes value);
  void insert_child(Path* path, uint32_t depth, uint32_t index, const Key& key,
                    std::unique_ptr<DirtyNode> child);
  void make_room_for_key(Path* path, uint32_t depth, const Key& key);
  void grow_root(const Key& right_key, std::unique_ptr<DirtyNode> right);

  // Shrinking.
  void erase_child(Path* path, uint32_t depth, uint32_t index);
  Status drop_leaf(Path* path);
  Status rebalance(Path* path, uint32_t depth);
  Result<bool> join_or_share(Path* path, uint32_t depth);
  void collapse_root();

  // Writing out.
  void collect(DirtyNode* node, std::vector<Sealed>* order);
  Status place(std::vector<Sealed>* order, const Allocate& allocate, std::vector<BlockRun>* used);
  Status write_nodes(std::vector<Sealed>* order, const Write& write, uint64_t generation);

  NodeStore& store_;
  TreeRoot root_;  // where the tree is while dirty_root_ is null
  std::unique_ptr<DirtyNode> dirty_root_;
  uint32_t height_;
  uint64_t shape_ = 1;
  std::unique_ptr<Paths> paths_;
  uint64_t dirty_nodes_ = 0;
  uint64_t replaced_nodes_ = 0;
  std::vector<BlockRun> replaced_;
};

}  // namespace scalefs::diskfs
