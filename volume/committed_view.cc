#include "volume/committed_view.h"

#include "base/log.h"
#include "base/memory.h"

namespace scalefs::volume {

namespace {

// What an entry costs, with the node and the bucket of the hash table around it.
constexpr int64_t kEntryBytes = sizeof(diskfs::InodeItem) + 48;
constexpr int64_t kPublishedBytes = sizeof(uint64_t) + sizeof(Ino);

// So many are looked at while the mutex is held.
constexpr size_t kLookedAt = 64;

}  // namespace

// Tells the class of memory what happens to both while it is there.
class CommittedView::Count {
 public:
  Count(const Overlay& overlay, const Published& published)
      : overlay_(overlay), published_(published), before_(bytes()) {}
  ~Count() { memory_count(MemoryClass::committed_view, bytes() - before_); }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;

 private:
  int64_t bytes() const {
    return kEntryBytes * static_cast<int64_t>(overlay_.size()) +
           kPublishedBytes * static_cast<int64_t>(published_.size());
  }
  const Overlay& overlay_;
  const Published& published_;
  const int64_t before_;
};

CommittedView::~CommittedView() {
  MutexLock lock(mutex_);
  const Count count(overlay_, published_);
  overlay_.clear();
  published_.clear();
}

Result<diskfs::InodeItem> CommittedView::item(Ino ino, MnodeNo mnode) {
  {
    MutexLock lock(mutex_);
    const auto found = overlay_.find(ino);
    if (found != overlay_.end()) {
      if (found->second.item.mnode != mnode) return Errno(EUCLEAN);
      return found->second.item;
    }
  }
  const diskfs::CheckpointPin pin = disk_.pin();
  const auto item = pin.reader().inode(ino);
  if (!item.ok()) return item.code() == ENOENT ? Errno(EUCLEAN) : item.error();
  if (item->mnode != mnode) {
    log_error("inode {} belongs to object {}, not to {}", ino.v, item->mnode.v, mnode.v);
    return Errno(EUCLEAN);
  }
  return *item;
}

void CommittedView::publish(const std::vector<Translation::Inode>& inodes, uint64_t seq) {
  for (const auto& inode : inodes) {
    if (inode.fate == Translation::Fate::born) map_.born(inode.item.mnode, inode.ino);
    if (inode.fate == Translation::Fate::dead) map_.dead(inode.item.mnode);
  }
  MutexLock lock(mutex_);
  const Count count(overlay_, published_);  // also of what there is where memory ends
  for (const auto& inode : inodes) {
    if (inode.fate == Translation::Fate::dead) {
      overlay_.erase(inode.ino);
    } else {
      published_.emplace_back(seq, inode.ino);
      overlay_[inode.ino] = Entry{inode.item, seq};
    }
  }
}

void CommittedView::drop_covered(uint64_t seq, size_t entries) {
  for (bool more = true; more;) {
    MutexLock lock(mutex_);
    const Count count(overlay_, published_);
    for (size_t i = 0; i < kLookedAt && more; ++i) {
      more = entries > 0 && !published_.empty() && published_.front().first <= seq;
      if (!more) break;
      --entries;
      const auto found = overlay_.find(published_.front().second);
      published_.pop_front();
      if (found != overlay_.end() && found->second.seq <= seq) overlay_.erase(found);
    }
  }
}

size_t CommittedView::size() const {
  MutexLock lock(mutex_);
  return overlay_.size();
}

}  // namespace scalefs::volume
