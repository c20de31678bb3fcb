#include "volume/committed_view.h"

#include "base/log.h"
#include "base/memory.h"

namespace scalefs::volume {

namespace {

// What an entry costs, with the node and the bucket of the hash table around it.
constexpr int64_t kEntryBytes = sizeof(diskfs::InodeItem) + 64;

// So many are dropped while the mutex is held.
constexpr size_t kDropped = 64;

}  // namespace

CommittedView::~CommittedView() {
  MutexLock lock(mutex_);
  memory_count(MemoryClass::committed_view, -kEntryBytes * static_cast<int64_t>(overlay_.size()));
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
  struct Count {
    explicit Count(const Overlay& counted) : overlay(counted) {}
    ~Count() {
      const auto after = static_cast<int64_t>(overlay.size());
      memory_count(MemoryClass::committed_view, kEntryBytes * (after - before));
    }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    const Overlay& overlay;
    const int64_t before = static_cast<int64_t>(overlay.size());
  } const count(overlay_);  // also of what there is where memory ends
  for (const auto& inode : inodes) {
    if (inode.fate == Translation::Fate::dead) {
      overlay_.erase(inode.ino);
    } else {
      published_.emplace_back(seq, inode.ino);
      overlay_[inode.ino] = Entry{inode.item, seq};
    }
  }
}

void CommittedView::drop_covered(uint64_t seq) {
  for (bool more = true; more;) {
    int64_t dropped = 0;
    MutexLock lock(mutex_);
    for (size_t i = 0; i < kDropped && more; ++i) {
      more = !published_.empty() && published_.front().first <= seq;
      if (!more) break;
      const auto found = overlay_.find(published_.front().second);
      published_.pop_front();
      if (found == overlay_.end() || found->second.seq > seq) continue;
      overlay_.erase(found);
      ++dropped;
    }
    memory_count(MemoryClass::committed_view, -kEntryBytes * dropped);
  }
}

size_t CommittedView::size() const {
  MutexLock lock(mutex_);
  return overlay_.size();
}

}  // namespace scalefs::volume
