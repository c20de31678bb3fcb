// Threads of a volume, and its end.
#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "volume/disk_volume.h"

namespace scalefs::volume {

namespace {

constexpr uint64_t kCheckpointLookMs = 1000;
// A third of the weight of who makes the changes: less, and a checkpoint on a busy machine could end after the journal has.
constexpr int kCheckpointNice = 5;

}  // namespace

void DiskVolume::start_threads() {
  flushed_ms_ = monotonic_ms();
  commit_thread_ = std::thread([this] { committer_.run(); });
  flusher_.start([this](bool woken) { return flusher_body(woken); });
  checkpoint_worker_.start([this](bool woken) { return checkpoint_body(woken); }, kCheckpointNice);
  maintenance_.start([this](bool) { return maintenance_body(); });
}

void DiskVolume::stop_threads() {
  flusher_.stop();
  maintenance_.stop();
  committer_.stop();
  if (commit_thread_.joinable()) commit_thread_.join();
  checkpoint_worker_.stop();
  checkpointer_.drain();
}

uint64_t DiskVolume::flusher_body(bool woken) {
  // Twice an interval, so that a change is not older than one when it is durable.
  const uint64_t period_ms = std::max<uint64_t>(options_.commit_interval_ms / 2, 1);
  if (health_.stopped() || health_.failed()) return period_ms;
  if (woken) {
    const uint64_t target = admission_.limits().page_bytes_max / 8;
    while (!flusher_.stopping() && fs_->usage().dirty_bytes > target && writeback_.step()) {
    }
  }
  const uint64_t since_ms = monotonic_ms() - flushed_ms_;
  if (since_ms < period_ms) return period_ms - since_ms;
  flushed_ms_ = monotonic_ms();
  const Status status = sync();
  if (!status.ok() && !health_.failed() && !health_.stopped()) {
    log_warning("the periodic writeback failed with error {}", status.code());
  }
  return period_ms;
}

uint64_t DiskVolume::checkpoint_body(bool /*woken*/) {
  checkpointer_.drop_covered();  // what commits have left
  if (!health_.stopped() && !health_.failed() && checkpointer_.due()) (void)checkpointer_.run();
  return kCheckpointLookMs;
}

uint64_t DiskVolume::maintenance_body() {
  return step_maintenance() ? kMaintenanceBusyMs : kMaintenanceIdleMs;
}

Status DiskVolume::unmount() {
  MutexLock lock(end_mutex_);
  if (ended_) return {};
  ended_ = true;
  Status status;
  if (!read_only() && !health_.stopped()) {
    try {
      reclaim();
      status = sync();
    } catch (const std::bad_alloc&) {
      health_.fail("the last writeback", Errno(ENOMEM));
      status = Errno(EIO);
    }
  }
  stop_threads();
  if (!health_.stopped() && status.ok()) {
    status = disk_->unmount();
    if (!status.ok()) health_.fail("the last checkpoint", status.error());
  }
  health_.stop();
  return status;
}

void DiskVolume::shutdown() {
  health_.stop();
  MutexLock lock(end_mutex_);
  ended_ = true;
  stop_threads();
}

}  // namespace scalefs::volume
