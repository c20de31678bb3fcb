// Walks a whole tree in key order for the checker and for tools: every node, every item, on past
// damaged nodes (whose subtrees are left out). Reads past the node cache. Memory: one node a level.
#pragma once

#include "diskfs/node_store.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

class TreeWalkVisitor {
 public:
  struct NodeInfo {
    BlockNo block;
    BlockNo parent;  // none for the root
    uint32_t level = 0;
    uint64_t generation = 0;  // as the parent names it
    KeyRange range;           // keys that are lost if the node is damaged
    uint32_t count = 0;       // entries; 0 when damaged
    NodeFault fault = NodeFault::none;
  };
  virtual ~TreeWalkVisitor() = default;
  // Before the node's children or items. False: leave this node's content out.
  virtual bool node(const NodeInfo& info) = 0;
  // `value` is valid during the call. False ends the whole walk.
  virtual bool item(const Key& key, ConstBytes value, BlockNo leaf) = 0;
};

// EUCLEAN when the root itself cannot be one (height out of range); damage below is told to the
// visitor alone. ECANCELED when item() ended the walk.
Status walk_tree(NodeStore& store, const TreeRoot& root, TreeWalkVisitor& visitor);
// The same from a node inside the tree on, which `parent` names so.
Status walk_subtree(NodeStore& store, const NodeAddress& address, uint32_t level,
                    const KeyRange& range, BlockNo parent, TreeWalkVisitor& visitor);

}  // namespace scalefs::diskfs
