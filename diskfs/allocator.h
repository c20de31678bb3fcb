// The live block allocator: which blocks may be given out now. A block is taken here when it is
// given out, when a batch or a checkpoint names it, and until a checkpoint that is two generations
// old freed it and no pin reads that generation (P3). Knows nothing of what is on disk: the maps
// that a checkpoint writes are computed from batches and tree nodes (P7), never from here.
//
// Allocation groups: each core prefers a group of its own, so cores do not meet. A group's bitmap
// is under the group's lock; free_blocks() sums per-group counters.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/atomic.h"
#include "base/core.h"
#include "base/mutex.h"
#include "base/result.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

class Allocator {
 public:
  // Group g holds blocks [g * group_blocks, (g + 1) * group_blocks) of the device; the last may be
  // short. `taken` tells which blocks start as taken (superblocks, journal, maps, used ones).
  Allocator(uint64_t block_count, uint64_t group_blocks,
            const std::function<bool(uint64_t)>& taken);
  ~Allocator();

  // A contiguous run of 1..want blocks, from the core's own group if it has room. ENOSPC only when
  // not one block is free anywhere. Reservation is the caller's business (volume/).
  Result<BlockRun> allocate(uint32_t core, uint64_t want);
  // For blocks that no batch has named and no cut may have taken, and for what the checkpointer
  // releases. Each must be taken (checked: a double free stops the program).
  void free(BlockRun run);
  // Marks blocks taken that recovery found named by batches. Idempotent.
  void take(BlockRun run);

  uint64_t free_blocks() const;
  bool is_taken(BlockNo block) const;

 private:
  struct Group;
  Result<BlockRun> allocate_in(Group& group, uint64_t want);
  // Calls `each(group, first bit, bits)` for the part of the run in each group that it meets.
  template <class Each>
  void split(BlockRun run, const Each& each);
  // The group that a core allocates from: its own until that is full, then wherever it found room.
  // A hint (relaxed; guards nothing).
  PerCore<Atomic<uint32_t>> preferred_;
  uint64_t block_count_;
  uint64_t group_blocks_;
  std::vector<std::unique_ptr<Group>> groups_;
};

}  // namespace scalefs::diskfs
