// MnodeNo -> Ino of the objects that are in memory, or that a logged record may still name (I5).
//
// Life of an entry:
//   loaded()   a load found the object in the checkpoint's tree; every call counts one more user
//   born()     the committer gave the object its inode number
//   dropped()  the mnode left memory: one user less. With none left the entry goes, but only when a cut
//              that began after the drop has been committed: until then a record (the object's reclaim)
//              may need the number. begin_cut() and end_cut() bracket a commit for this.
//   dead()     the object's deletion is committed: the entry goes at once.
// An object that is dropped before it was born has its reclaim in the log: dropped() then finds
// nothing, and dead() or absorption ends it.
// Two loads of one object at a time may count one user too many; such an entry stays until the
// object's end.
//
// Locks: a mutex a shard, by the core bits of the number, so that cores which create objects of their
// own do not meet. Leaf locks, held for one map operation. begin_cut, end_cut, born and dead: the
// committer's alone.
#pragma once

#include <array>
#include <unordered_map>
#include <vector>

#include "base/atomic.h"
#include "base/mutex.h"
#include "base/units.h"

namespace scalefs::volume {

class InodeMap {
 public:
  struct Found {
    Ino ino;                     // Ino{}: not known
    bool in_checkpoint = false;  // a load has seen it there, and so will every later one
  };
  Found find(MnodeNo mnode) const;

  void loaded(MnodeNo mnode, Ino ino);
  // A load found the object, that had been born, in the checkpoint.
  void seen_in_checkpoint(MnodeNo mnode);
  void dropped(MnodeNo mnode);

  void born(MnodeNo mnode, Ino ino);
  void dead(MnodeNo mnode);
  void begin_cut();
  void end_cut();

  size_t size() const;

 private:
  static constexpr size_t kShards = 64;
  struct Entry {
    Ino ino;
    uint32_t users = 0;
    bool in_checkpoint = false;
  };
  struct alignas(128) Shard {
    mutable Mutex mutex;
    std::unordered_map<MnodeNo, Entry> entries GUARDED_BY(mutex);
    std::vector<MnodeNo> dropped GUARDED_BY(mutex);  // since the last begin_cut
    // Whether there are such; set under the mutex. Looked at without it, hence relaxed: a drop that a cut does not see
    // goes with the next one.
    Atomic<bool> has_dropped{false};
    std::vector<MnodeNo> leaving GUARDED_BY(mutex);  // before it
  };
  Shard& shard(MnodeNo mnode) { return shards_[mnode.v % kShards]; }
  const Shard& shard(MnodeNo mnode) const { return shards_[mnode.v % kShards]; }

  std::array<Shard, kShards> shards_;
  std::vector<Shard*> leaving_;  // with a cut; the committer's
};

}  // namespace scalefs::volume
