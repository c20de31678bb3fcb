#include "diskfs/ino_source.h"

#include "diskfs/batch_format.h"

namespace scalefs::diskfs {

Status InoSource::refill(const std::function<CheckpointPin()>& pin) {
  while (ready_.empty()) {
    const CheckpointPin now = pin();
    if (listed_ && listed_seq_ == now.covered_seq()) return {};
    SCALEFS_TRY(const std::vector<Ino> found, now.reader().free_inos(cursor_, kRefill));
    MutexLock lock(mutex_);
    // A newer tree may show as used what is forgotten in given_ by now: list that one.
    if (now.covered_seq() < settled_seq_) continue;
    for (auto ino = found.rbegin(); ino != found.rend(); ++ino) {
      if (!given_.contains(ino->v)) ready_.push_back(*ino);
    }
    listed_ = found.size() < kRefill;
    listed_seq_ = now.covered_seq();
    cursor_ = listed_ ? Ino(0) : Ino(found.back().v + 1);
  }
  return {};
}

Result<Ino> InoSource::allocate(const std::function<CheckpointPin()>& pin) {
  SCALEFS_TRY_VOID(refill(pin));
  if (ready_.empty()) {
    if (next_ > kInoMax) return Errno(ENOSPC);
    return Ino(next_++);
  }
  const Ino ino = ready_.back();
  ready_.pop_back();
  MutexLock lock(mutex_);
  given_.insert(ino.v);
  return ino;
}

void InoSource::settle(uint64_t covered_seq, const std::vector<Ino>& inos,
                       const std::function<void()>& publish) {
  MutexLock lock(mutex_);
  publish();
  settled_seq_ = covered_seq;
  if (given_.empty()) return;
  for (const Ino ino : inos) given_.erase(ino.v);
}

}  // namespace scalefs::diskfs
