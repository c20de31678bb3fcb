// The end of objects: found when neither names nor lookups are left, which the delta cache hides until it is
// flushed (Refcache's review of zeros, see delta_cache.h).
//
// An object whose base has no links and no lookups after a fold is queued, and on the next round made
// `dying`. When two epochs have passed since, every guard that could have found it while it was `alive` has ended, and what
// it added stands in the delta cache. So after one more flush of all cores the base is the truth, unless
// somebody found the object since: he has made it `alive` again before he added to it (Pin). The step from
// `dying` to `dead` is an exchange on the same word: it fails when the object was revived, and then
// the review begins anew; when it succeeds nobody can find the object alive any more.
//
// So who finds an object alive under a guard has it, and what hangs on it, until that guard ends, and need not pin it
// (FileAccess::read_in_page).
//
//   alive -> dying   review begins (Reclaimer)
//   dying -> alive   a Pin, or the review found a count
//   dying -> dead    no count, two epochs, all flushed: ReclaimOp, pages dropped, out of the table, retired
//
// Room for the record is taken before the last step: where there is none at the moment the review stays open
// for a later round, so that no object leaves memory without its end being logged.
#pragma once

#include <vector>

#include "memfs/memfs.h"
#include "memfs/mnode.h"

namespace scalefs::memfs {

class Reclaimer {
 public:
  // One round. True when objects wait for another one.
  bool round(MemFs::Impl& impl);

 private:
  struct Review {
    Mnode* mnode;
    uint64_t since;  // advances_ when it became dying
  };
  bool round_locked(MemFs::Impl& impl) REQUIRES(lock_);
  void begin_reviews(MemFs::Impl& impl) REQUIRES(lock_);
  // no_room: neither for the record, or no memory; the review is open as before. revived: it begins anew.
  enum class End : uint8_t { done, revived, no_room };
  static End finish_review(MemFs::Impl& impl, Mnode& mnode);
  // `record` may be null.
  static void reclaim(MemFs::Impl& impl, Mnode* mnode, std::unique_ptr<OpRecord> record);

  Mutex lock_;
  std::vector<Review> reviews_ GUARDED_BY(lock_);
  uint64_t advances_ GUARDED_BY(lock_) = 0;  // epochs that our own steps have ended
};

}  // namespace scalefs::memfs
