// Cuts a tree into parts that several threads can walk, in the order of their keys. Where it is cut depends on
// the tree alone, so that what is found does not depend on the number of threads.
#pragma once

#include <vector>

#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

struct TreePart {
  NodeAddress address;
  uint32_t level = 0;
  KeyRange range;
  BlockNo parent;
  // The node was damaged, which `spine` was told: nothing is known of the range.
  bool lost = false;
};

// Subtrees of at least two levels, some tens or hundreds where the tree is large enough; their ranges tile all keys.
// `spine` meets the nodes above them, in no useful order of keys. None for an empty tree. EUCLEAN when the
// root cannot be one.
Result<std::vector<TreePart>> split_tree(NodeStore& store, const TreeRoot& root,
                                         TreeWalkVisitor& spine);

// As walk_tree, of the part alone.
Status walk_part(NodeStore& store, const TreePart& part, TreeWalkVisitor& visitor);

}  // namespace scalefs::diskfs
