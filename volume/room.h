// What admission measures and what it can ask for when room is short (P6). Implemented by the volume
// over the log, MemFS and DiskFS; tests fake it.
//
// Gauges are sums of per-core or per-group counts: not exact while others run, and not free, so
// admission reads them once in a while (admission.h). The rest may wait and do I/O: callers hold
// nothing.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "diskfs/checkpoint_bound.h"

namespace scalefs::volume {

class Room {
 public:
  virtual ~Room() = default;

  // --- gauges
  virtual uint64_t free_blocks() = 0;  // that the allocator could give out now
  // Blocks that the next checkpoint may need at the most, with `more` before it.
  virtual uint64_t checkpoint_bound(const diskfs::PendingWork& more) = 0;
  virtual uint64_t inodes_bound() = 0;    // in the tree, or on their way there
  virtual uint64_t log_operations() = 0;  // logged and not durable yet
  virtual uint64_t logged_places() = 0;   // of their records; never less while they move on to batches
  virtual uint64_t log_bytes() = 0;
  virtual uint64_t page_bytes() = 0;        // pages in memory, dirty ones among them
  virtual uint64_t dirty_bytes() = 0;

  // --- relief
  // Waits for a commit that begins after the call, or leads one.
  virtual Status commit() = 0;
  // Reclaims dead objects, writes dirty pages back, commits, brings everything committed into a checkpoint
  // and makes its frees free. Part of it where the reserve is too small for all: then calling again does more.
  // EIO when the volume has failed.
  virtual Status recover_space() = 0;
  // Writes back some dirty pages. False when there were none.
  virtual bool write_back_some() = 0;
  // Evicts clean pages until page memory is at most `target`; what is left.
  virtual uint64_t evict_pages(uint64_t target) = 0;
  // A commit and a checkpoint, so that pages which only the journal holds can be evicted.
  virtual Status settle_pages() = 0;

  // --- hints: somebody shall do it soon; do not wait
  virtual void want_commit() = 0;
  virtual void want_write_back() = 0;
  virtual void want_checkpoint() = 0;
};

}  // namespace scalefs::volume
