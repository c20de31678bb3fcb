// Admission (I9, I10, P6): every call that changes something, or that brings pages into memory, asks here
// before its first lock. What may wait or fail for room does so here, while the caller holds nothing.
//
// Four resources:
//   log     records that wait for a commit, at most log_bytes_max: else wait for a commit
//   memory  pages, at most page_bytes_max: else evict, write back, and in the end checkpoint
//   blocks  credits (block_credits.h)
//   tree    places that a checkpoint must find room for (there too)
// Log and memory are metered, not counted: each core passes kLogMeterBytes, or its share of the page
// memory, between two looks at the true gauges. So nothing can leak; the limits are exceeded by one
// meter a core at the most.
//
// ENOSPC is answered only after: the credits of all cores gathered, writeback, a commit, a checkpoint and
// the superblock that releases what it freed, and another try. One call at a time does that; who finds
// somebody at it waits and tries again. Calls that give space back (`always`), and writeback, take from
// the reserve; where that is used up they wait for the same, as often as it brings something.
// block_credits.h says why that ends. Who recovers space does not wait for itself: what it wants to log
// is refused with ENOSPC when the reserve is used up, and comes later.
//
// Errors: EIO (stopped), EROFS (failed or read-only, for calls that change something), ENOSPC.
#pragma once

#include "base/core.h"
#include "base/mutex.h"
#include "memfs/backend.h"
#include "volume/block_credits.h"
#include "volume/health.h"
#include "volume/room.h"

namespace scalefs::volume {

struct AdmissionLimits {
  uint64_t log_bytes_max = 0;
  uint64_t page_bytes_max = 0;
  uint64_t commit_operations = 0;  // so many logged records ask for a commit
  uint64_t commit_bytes = 0;
};

class Admission {
 public:
  Admission(Room& room, BlockCredits& credits, Health& health, const AdmissionLimits& limits);

  Status reserve(const memfs::Need& need);
  void unreserve(const memfs::Need& unused);
  void pages_hold(int64_t blocks) { credits_.pages_hold(blocks); }
  // For writeback, which must not wait for memory (it makes some). end_places() when it is logged.
  Status reserve_record(uint64_t log_bytes, uint32_t places);
  // Places alone, without waiting.
  bool try_places(uint32_t places) { return credits_.take_reserved(0, places); }
  void end_places(uint32_t places) { credits_.end_places(places); }

  const AdmissionLimits& limits() const { return limits_; }
  // Page memory is to be brought back to this when it has passed the limit.
  uint64_t page_bytes_target() const { return limits_.page_bytes_max / 8 * 7; }

 private:
  static constexpr uint64_t kLogMeterBytes = 32768;
  struct Meter {
    SpinBit lock;
    int64_t log_left GUARDED_BY(lock) = 0;
    int64_t memory_left GUARDED_BY(lock) = 0;
  };
  struct Passed {
    bool log, memory;
  };
  Passed pass_meter(uint64_t log_bytes, uint64_t memory_bytes);
  Status look_at_log(uint64_t bytes);
  void look_at_memory(uint64_t bytes);
  bool make_memory(uint64_t target);
  Status take_blocks(const memfs::Need& need);
  Status take_reserved(uint64_t blocks, uint32_t places);
  Status relieve(uint64_t seen);

  Room& room_;
  BlockCredits& credits_;
  Health& health_;
  const AdmissionLimits limits_;
  const uint64_t memory_meter_bytes_;
  PerCore<Meter> meters_;
  Mutex relief_mutex_;  // held by the one who recovers space, across its I/O
  // Times that space was recovered. Release after it, acquire before the try that failed.
  Atomic<uint64_t> relieved_{0};
};

}  // namespace scalefs::volume
