#include "volume/checkpointer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

namespace scalefs::volume {

void Checkpointer::bind(memfs::MemFs& fs) {
  fs_ = &fs;
  last_ms_.store(monotonic_ms(), relaxed);
}

bool Checkpointer::has_work() {
  return disk_.committed_seq() > disk_.checkpointed_seq() || release_pending_.load(relaxed);
}

Result<bool> Checkpointer::run() {
  MutexLock lock(run_mutex_);
  if (health_.stopped() || health_.failed()) return Errno(EIO);
  if (!has_work()) return false;
  const bool with_batches = disk_.committed_seq() > disk_.checkpointed_seq();
  const Status status = disk_.checkpoint();
  if (!status.ok()) {
    if (disk_.failed()) health_.fail("a checkpoint", status.error());
    if (status.code() == ENOSPC) log_warning("a checkpoint found no room for tree nodes");
    return status.error();
  }
  if (!with_batches) release_pending_.store(false, relaxed);
  last_ms_.store(monotonic_ms(), relaxed);
  note();
  return true;
}

void Checkpointer::note() {
  MutexLock lock(note_mutex_);
  const uint64_t seq = disk_.checkpointed_seq();
  const oplog::Stamp covered = pipeline_.covered_stamp(seq);
  if (seq > noted_seq_) {
    noted_seq_ = seq;
    release_pending_.store(true, relaxed);
    covered_seq_.store(seq, relaxed);
  }
  if (covered <= noted_) return;
  noted_ = covered;
  fs_->set_durable_stamp(covered);
}

bool Checkpointer::due() {
  if (!has_work()) return false;
  if (fill_due()) return true;
  const int64_t held = memory_bytes(MemoryClass::journal_buffer);
  if (held > 0 && static_cast<uint64_t>(held) > cache_bytes_ / 8) return true;
  return monotonic_ms() - last_ms_.load(relaxed) >= kPeriodMs;
}

}  // namespace scalefs::volume
