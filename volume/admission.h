// Admission (I9, I10, P6): every call that changes something, or that brings pages into memory, asks here
// before its first lock. What may wait or fail for room does so here, while the caller holds nothing.
//
// Four resources:
//   log     records that wait for a commit, at most log_bytes_max: else wait for a commit
//   memory  pages, at most page_bytes_max: else evict, write back, and in the end checkpoint
//   blocks  credits (block_credits.h)
//   tree    places that a checkpoint must find room for (there too)
// Log and memory are metered, not counted: each core passes its share of the log or the page memory on
// its own, and all cores together a meter or two for each of them between two looks at the true gauges,
// which read a line of every core: a look costs the more the more cores there are, and comes the less
// often to each. Nothing can leak; the limits are exceeded by one meter a core at the most, and by what
// passes between two looks: at the most a quarter of the log's limit, an eighth of the memory's.
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
  struct Meter {
    SpinBit lock;
    int64_t log_left GUARDED_BY(lock) = 0;
    int64_t memory_left GUARDED_BY(lock) = 0;
  };
  struct Passed {
    bool log, memory;
  };
  // How much one meter lets pass, and all of them between two looks.
  struct Bounds {
    uint64_t meter_bytes, look_bytes;
  };
  // What all meters have let pass since the last look.
  struct alignas(kFalseSharingBytes) Since {
    explicit Since(const Bounds& bounds) : bytes(bounds.look_bytes) {}  // the first one looks
    // The caller's meter is used up, by a call that asks for `passing`: must it look?
    bool look_is_due(const Bounds& bounds, uint64_t passing);
    Atomic<uint64_t> bytes;  // relaxed: when the next one looks is an estimate
  };
  static Bounds bounds_of(uint64_t meter, uint64_t meters, uint64_t most);
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
  const Bounds log_bounds_;
  const Bounds memory_bounds_;
  PerCore<Meter> meters_;
  Since log_since_;
  Since memory_since_;
  // Held by the one who recovers space, across its I/O.
  alignas(kFalseSharingBytes) Mutex relief_mutex_;
  // Times that space was recovered. Release after it, acquire before the try that failed.
  Atomic<uint64_t> relieved_{0};
};

}  // namespace scalefs::volume
