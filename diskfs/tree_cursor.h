// A position in an immutable tree: seek and step in key order. Holds the path of nodes from the
// root, at most kTreeHeightMax of them. Not thread-safe; any number of cursors on one tree.
//
// Errors as tree_reader.h. After an error the cursor is not valid().
#pragma once

#include <array>

#include "diskfs/node_store.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

class TreeCursor {
 public:
  TreeCursor(NodeStore& store, const TreeRoot& root) : store_(&store), root_(root) {}

  // To the first item with key >= `key`; valid() is false when there is none.
  Status lower_bound(const Key& key);
  // To the last item with key <= `key`; valid() is false when there is none.
  Status floor(const Key& key);
  // To the next item; the cursor must be valid().
  Status next();

  bool valid() const { return valid_; }
  Key key() const { return leaf().key(index()); }
  // Valid until the cursor moves.
  ConstBytes value() const { return leaf().value(index()); }
  // Where the current leaf is, for reports.
  BlockNo block() const { return leaf().address().block; }

 private:
  struct Step {
    NodeRef node;
    uint32_t index = 0;
    KeyRange range;
  };
  NodeView leaf() const { return steps_[root_.height - 1].node->view(); }
  uint32_t index() const { return steps_[root_.height - 1].index; }
  Status descend(const Key& key);
  Status load(uint32_t depth, const NodeAddress& address, const KeyRange& range);
  Status step_leaf(bool forward);

  NodeStore* store_;
  TreeRoot root_;
  bool valid_ = false;
  std::array<Step, kTreeHeightMax> steps_;
};

}  // namespace scalefs::diskfs
