// Numbers for new inodes: recycled ones of the durable tree, else the next that was never used.
//
// A recycled number is taken only when the durable tree says that all items of its last owner are
// gone (P5), and never twice: a number that was given out is remembered until the tree that new pins
// read knows the batch that used it. Numbers given out but never used come back at the next mount.
//
// Thread safety: allocate from one thread at a time, settle from one at a time; a Mutex guards what
// both touch. It is held while a new tree is published, and not across I/O: else a number that the new
// tree shows as free could be given out between the two halves of settle, and be forgotten as given.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "diskfs/diskfs.h"

namespace scalefs::diskfs {

class InoSource {
 public:
  // Numbers from `next_ino` on were never given out. Before the first allocate.
  void begin(uint64_t next_ino) { next_ = next_ino; }
  // ENOSPC when all numbers are used up; errors of the tree.
  Result<Ino> allocate(const std::function<CheckpointPin()>& pin);
  // Calls `publish`, which lets new pins read a tree with batches up to `covered_seq`, and forgets
  // `inos`, which were given attributes by the batches that came in with it.
  void settle(uint64_t covered_seq, const std::vector<Ino>& inos,
              const std::function<void()>& publish);

 private:
  Status refill(const std::function<CheckpointPin()>& pin);

  static constexpr size_t kRefill = 128;

  // The committer's own.
  uint64_t next_ = UINT64_MAX;
  std::vector<Ino> ready_;   // recycled, to be given out from the back
  Ino cursor_{0};            // where the listing of recycled numbers goes on
  bool listed_ = false;      // the tree that covers listed_seq_ was listed to its end
  uint64_t listed_seq_ = 0;

  Mutex mutex_;
  std::unordered_set<uint64_t> given_ GUARDED_BY(mutex_);
  uint64_t settled_seq_ GUARDED_BY(mutex_) = 0;
};

}  // namespace scalefs::diskfs
