// How many blocks a checkpoint may need at the most, before it runs: for reservations (P6).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace scalefs::diskfs {

// What operations may do to the tree at the worst. Sums of several batches add up.
struct PendingWork {
  uint64_t places = 0;        // leaves that may change
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

}  // namespace scalefs::diskfs
