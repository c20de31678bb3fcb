// The attributes of inodes as of the last committed batch: an overlay of what the durable checkpoint
// does not cover yet, over the checkpoint's tree.
//
// publish() follows each commit with what the batch said; drop_covered() follows each checkpoint, some time after
// new pins read it. item() looks at the overlay first: what it does not find there was covered before
// it looked, so a pin taken afterwards sees it.
//
// Locks: one mutex around the overlay, never held across I/O, and by drop_covered for a few entries at a time: whoever
// waits for a commit waits for it. publish, item and allocate_ino are the committer's; drop_covered anyone's.
#pragma once

#include <deque>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"
#include "diskfs/diskfs.h"
#include "volume/inode_map.h"
#include "volume/translator.h"

namespace scalefs::volume {

class CommittedView final : public CommittedState {
 public:
  CommittedView(diskfs::DiskFs& disk, InodeMap& map) : disk_(disk), map_(map) {}
  ~CommittedView() override;

  Ino ino_of(MnodeNo mnode) override { return map_.find(mnode).ino; }
  // EUCLEAN when the inode in the tree is another object's or is not there.
  Result<diskfs::InodeItem> item(Ino ino, MnodeNo mnode) override;
  Result<Ino> allocate_ino() override { return disk_.allocate_ino(); }

  // The batch `seq` is durable: its inodes are what they are now, in the map too.
  void publish(const std::vector<Translation::Inode>& inodes, uint64_t seq);
  // The durable checkpoint covers the batches up to `seq`. Looks at `entries` at the most.
  void drop_covered(uint64_t seq, size_t entries = SIZE_MAX);
  size_t size() const;

 private:
  struct Entry {
    diskfs::InodeItem item;
    uint64_t seq = 0;
  };
  diskfs::DiskFs& disk_;
  InodeMap& map_;
  mutable Mutex mutex_;
  using Overlay = std::unordered_map<Ino, Entry>;
  using Published = std::deque<std::pair<uint64_t, Ino>>;
  class Count;
  Overlay overlay_ GUARDED_BY(mutex_);
  // (seq, ino) of every entry that was published and not dropped or replaced by now, and of some that were; seq ascends.
  Published published_ GUARDED_BY(mutex_);
};

}  // namespace scalefs::volume
