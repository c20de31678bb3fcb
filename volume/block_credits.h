// Block credits (I9): the right to take one block later. A call takes credits when it is accepted; a dirty
// page holds one until writeback gives it a block (then the allocator's own count has it) or until
// the page is dropped.
//
//   granted = credits in the pools + credits that calls, dirty and unwritten pages hold
//   available = free blocks - granted - what pending metadata may need - the fixed reserve
//
// Pools are per core and refilled in bulk, so that accepted calls on different cores share no line
// (I1). Near the end of the space bulks shrink to what is asked for.
//
// Metadata. A record that changes the tree may cost the next checkpoint up to kBlocksAnOperation
// blocks; what is committed already the checkpoint's bound tells. Calls take operations from the
// pool too: they cost nothing, but when a pool runs out the space is looked at again. What pools
// still hold of them counts as pending.
//
// The fixed reserve keeps checkpoints possible, and serves the calls that give space back
// (`always`): those overdraw `available`, never the free blocks behind it.
//
// Locks: one mutex around `granted`, outside of the pools' spin bits.
#pragma once

#include "base/core.h"
#include "base/mutex.h"
#include "volume/room.h"

namespace scalefs::volume {

class BlockCredits {
 public:
  static constexpr uint64_t kBlocksAnOperation = 96;

  // `total_blocks` of the volume decides the fixed reserve.
  BlockCredits(Room& room, uint64_t total_blocks);

  // From the caller's pool alone. False: take_slow.
  bool take_fast(uint64_t blocks, uint64_t operations);
  // From what is available, refilling the pool. False: there is not enough at the moment.
  bool take(uint64_t blocks, uint64_t operations);
  // Without looking at what is available.
  void overdraw(uint64_t blocks);
  // Not used after all.
  void give_back(uint64_t blocks);
  // Became blocks that the allocator has given out.
  void spend(uint64_t blocks);
  // Spent ones whose blocks were given back to the allocator, while their pages are dirty again.
  void unspend(uint64_t blocks) { overdraw(blocks); }
  // Brings all pools' credits back, so that what is idle on other cores can be taken.
  void gather();

  // Pending metadata has come so near that a checkpoint should run before the next operation.
  bool checkpoint_due();
  uint64_t reserve_blocks() const { return reserve_; }
  // For statfs: free blocks less what is promised and the reserve; never negative.
  uint64_t available_for_users();
  // Credits outside the pools: held by calls and pages.
  uint64_t held();

 private:
  static constexpr uint64_t kBlockBulk = 256;
  static constexpr uint64_t kOperationBulk = 64;
  struct Pool {
    SpinBit lock;
    uint64_t blocks GUARDED_BY(lock) = 0;
    uint64_t operations GUARDED_BY(lock) = 0;
  };
  int64_t available(uint64_t unseen_operations) REQUIRES(mutex_);
  uint64_t pooled();
  uint64_t pooled_operations();

  Room& room_;
  const uint64_t reserve_;
  PerCore<Pool> pools_;
  Mutex mutex_;
  int64_t granted_ GUARDED_BY(mutex_) = 0;
};

}  // namespace scalefs::volume
