// What admission measures and what it can ask for when room is short (P6). Implemented by the volume
// over the log, MemFS and DiskFS; tests fake it.
//
// Gauges are sums of per-core or per-group counts: not exact while others run, and not free, so
// admission reads them once in a while (admission.h). The rest may wait and do I/O: callers hold
// nothing.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace scalefs::volume {

class Room {
 public:
  virtual ~Room() = default;

  // --- gauges
  virtual uint64_t free_blocks() = 0;       // that the allocator could give out now
  virtual uint64_t checkpoint_bound() = 0;  // blocks that the next checkpoint may need at the most
  virtual uint64_t log_operations() = 0;    // logged and not durable yet
  virtual uint64_t log_bytes() = 0;
  virtual uint64_t page_bytes() = 0;        // pages in memory, dirty ones among them
  virtual uint64_t dirty_bytes() = 0;

  // --- relief
  // Waits for a commit that begins after the call, or leads one.
  virtual Status commit() = 0;
  // Reclaims dead objects, then commits, then brings everything committed into a checkpoint whose frees
  // are released: two checkpoints. EIO when the volume has failed.
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
