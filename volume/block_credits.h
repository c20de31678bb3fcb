// Space promised (I9, P6). Two things are promised and taken here:
//
//   block credits  the right to take one block later. A dirty page holds one until writeback gives it
//                  a block (then the allocator's own count has it) or until the page is dropped.
//   places         what a call's records will change in the tree (memfs/record_places.h). Counted from
//                  the reservation until the call's end; from its logging on the record in the log
//                  counts, from its commit on the batch in DiskFs. Each hands over before it lets go, so
//                  that whoever reads them in that order misses nothing.
//
// The invariant, at every admission:
//
//   free blocks >= promised + checkpoint(places) [+ reserve, for ordinary calls]
//
//   promised       credits in the pools and held, and for each sixteen of them one block more: a
//                  page adds at most three items of 34 bytes to the tree, in leaves a quarter full
//   checkpoint()   DiskFs' bound for what is committed, logged and reserved together: copies of nodes
//                  that change, nodes that are created, pages that batches carry (checkpoint_bound.h)
//   reserve        kept back from ordinary calls: fixed_blocks() + inodes / kInodesABlock
//
// No checkpoint can find the volume full: what it needs was free when the last call was admitted,
// and free blocks are taken by nothing else. This does not rest on the sizes below.
//
// No call that gives space back is refused, nor is writeback or a reclaim. They use the reserve. When
// what is left of it is too small for one more, a commit, a checkpoint and a second superblock empty
// all logs and bring the copied nodes back (P7); only nodes that were created stay. So the reserve must
// hold, with nothing pending, one such call, and the growth that these calls leave behind:
//   one call       kRangePlaces changed in a tree of a small volume: 27 leaves, 9 created, the same at
//                  most above, and one block for the page that a truncation cuts: under
//                  kReserveBlocksMin. Of larger volumes the reserve is larger than of the paths that
//                  larger trees have.
//   growth         an object's end removes its items and adds one of 21 bytes (the orphan, then the
//                  recycled number), a name's end removes one. Where the removals do not yet empty
//                  nodes that is 21 bytes in leaves half full an inode: kInodesABlock. A truncation
//                  that cuts an extent leaves one item of 38 bytes more a file of two pages at the
//                  least, under a hundredth of its blocks, out of the fixed part.
// A hole punched between bytes of one page may add more than it frees: such a call uses the reserve as
// the others do, and is refused where that is used up.
//
// Pools are per core and refilled in bulk, so that accepted calls on different cores share no line
// (I1). A look at the gauges reads lines of every core, so one look takes bulks for all cores' next refills, and the others
// find theirs in the spare ones: what a refill costs does not grow with the cores. Spare ones count as promised, as those in the
// pools do. Near the end of the space there are none, and bulks shrink to what is asked for.
//
// What statfs tells is free blocks less those that pages hold and the reserve. It reads no pool, for
// every call writes one, also a call after which as much is free as before. What pages hold is counted a core
// in a word of its own lines, written only by calls after which pages hold more or fewer. It is what
// is granted, less the pools, less what calls under way have reserved.
//
// Locks: one mutex around `granted`, the spare ones and the look at the gauges, outside of the pools' spin bits.
#pragma once

#include "base/atomic.h"
#include "base/core.h"
#include "base/mutex.h"
#include "base/units.h"
#include "volume/room.h"

namespace scalefs::volume {

class BlockCredits {
 public:
  static constexpr uint64_t kReserveBlocksMin = 192;
  static constexpr uint64_t kReserveBlocksMax = 16384;
  static constexpr uint64_t kInodesABlock = 96;

  // `total_blocks` of the volume decides the fixed part of the reserve.
  BlockCredits(Room& room, uint64_t total_blocks);

  // From the caller's pool alone. False: take.
  bool take_fast(uint64_t blocks, uint64_t places);
  // From what is available, refilling the pool. False: there is not enough at the moment.
  bool take(uint64_t blocks, uint64_t places);
  // The same out of the reserve too, and nothing for the pool.
  bool take_reserved(uint64_t blocks, uint64_t places);
  // The call is over: its records stand in the log, or will never come.
  void end_places(uint64_t places);
  // Blocks not used after all.
  void give_back(uint64_t blocks);
  // Became blocks that the allocator has given out.
  void spend(uint64_t blocks);
  // Spent ones whose blocks were given back to the allocator, while their pages are dirty again.
  void unspend(uint64_t blocks);
  // Of what calls reserved pages hold so many more, or fewer (Backend::pages_hold).
  void pages_hold(int64_t blocks);
  // Brings all pools' credits back, so that what is idle on other cores can be taken.
  void gather();

  uint64_t fixed_blocks() const { return fixed_; }
  // For statfs: see above; never negative. Writes nothing.
  uint64_t available_for_users();
  // Credits outside the pools: held by calls and pages. For tests.
  uint64_t held();
  // By pages alone.
  uint64_t held_by_pages() const;

 private:
  static constexpr uint64_t kBlockBulk = 256;
  static constexpr uint64_t kPlaceBulk = 4096;
  static constexpr uint64_t kCreditsABlock = 16;
  struct Pool {
    SpinBit lock;
    uint64_t blocks GUARDED_BY(lock) = 0;
    uint64_t places GUARDED_BY(lock) = 0;
    // Taken by calls that are under way. A call may end on another core: the sum of all counts.
    int64_t under_way GUARDED_BY(lock) = 0;
    // Relaxed, of all cores together: a number that guards nothing.
    alignas(kFalseSharingBytes) Atomic<int64_t> in_pages{0};
  };
  enum class Reserve : uint8_t { kept, used };
  // What could be promised if `places` more were reserved.
  int64_t available(uint64_t places, Reserve reserve) REQUIRES(mutex_);
  uint64_t reserve();
  uint64_t pooled() REQUIRES(mutex_);
  void lower_granted(uint64_t blocks);
  bool take_spare(uint64_t blocks, uint64_t places) REQUIRES(mutex_);
  void fill(uint64_t blocks, uint64_t places, uint64_t used_places);
  uint64_t reserved_places() REQUIRES(mutex_);

  Room& room_;
  const uint64_t fixed_;
  PerCore<Pool> pools_;
  // Apart from what every call reads to find its pool.
  alignas(kFalseSharingBytes) Mutex mutex_;
  int64_t granted_ GUARDED_BY(mutex_) = 0;
  uint64_t spare_blocks_ GUARDED_BY(mutex_) = 0;
  uint64_t spare_places_ GUARDED_BY(mutex_) = 0;
};

}  // namespace scalefs::volume
