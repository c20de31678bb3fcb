// How many blocks a checkpoint may need at the most, before it runs: for reservations (P6).
//
// A checkpoint allocates one block for each node of the new tree that the old one has not, and one for
// each page that batches carry and the tree does not keep; maps and superblocks have places of their own.
// New nodes are copies of old ones and nodes that splits create. Counted level by level:
//
//   copies   A place is a leaf that an operation changes, or the neighbour that an erase joins or
//            shares with. Above, an operation changes the parents, and a neighbour where a child fell
//            away: the neighbour of a node has the same parent, so no level has more changed nodes
//            than the leaves have places. And no level has more than the old tree has nodes there.
//   created  An insertion splits one leaf at the most. A leaf that was just split, joined or shared
//            takes a quarter of its bytes before it is full again (but for one at the end of the
//            tree), which bounds the leaves by bytes too; the same in children above.
//
// `tree_nodes` need not be known: tree_nodes_bound() is derived from the root and the used blocks.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace scalefs::diskfs {

// What operations may do to the tree at the worst. Sums of several batches add up.
struct PendingWork {
  uint64_t places = 0;        // leaves that may change, neighbours among them
  uint64_t items = 0;         // items that may be inserted
  uint64_t item_bytes = 0;    // bytes by which leaves may grow
  uint64_t inline_pages = 0;  // pages that may need a block at the checkpoint

  // Adds the operations of an encoded batch. EUCLEAN when it is not well-formed.
  Status add(ConstBytes batch);
  PendingWork& operator+=(const PendingWork& other);
};

// Upper bound of the blocks that applying the work to a tree of that height and with at most that many
// nodes may allocate, for tree nodes and inline pages. `tree_nodes` may be UINT64_MAX if not known.
uint64_t checkpoint_blocks_bound(const PendingWork& work, uint32_t tree_height,
                                 uint64_t tree_nodes);

// No tree of that height whose root has `root_children` has more nodes, and none more than `used_blocks`.
uint64_t tree_nodes_bound(uint32_t tree_height, uint64_t root_children, uint64_t used_blocks);

}  // namespace scalefs::diskfs
