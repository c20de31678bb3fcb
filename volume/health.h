// Whether a volume still may change: ok, then perhaps failed (I11, P10) or stopped, never back.
//
// failed: a write of data, journal or checkpoint did not succeed. The reason is logged once; fsync
// answers EIO, changes answer EROFS, reads go on.
// stopped: unmounted or shut down. Everything that needs the disk answers EIO.
//
// Thread safety: all of it, from any thread. The state is read on every admission and written twice
// in a volume's life.
#pragma once

#include <string_view>

#include "base/atomic.h"
#include "base/result.h"

namespace scalefs::volume {

class Health {
 public:
  explicit Health(bool read_only) : read_only_(read_only) {}

  bool read_only() const { return read_only_; }
  // Relaxed: the flags carry no data, and whoever must not miss them is told by a lock or a join.
  bool failed() const { return failed_.load(relaxed); }
  bool stopped() const { return stopped_.load(relaxed); }

  // `what` failed with `error`. Only the first call logs.
  void fail(std::string_view what, Errno error);
  void stop() { stopped_.store(true, relaxed); }

  // For a call that changes something: EIO (stopped), EROFS (failed or read-only).
  Status may_change() const;
  // For a call that wants something durable: EIO when stopped or failed.
  Status may_sync() const;

 private:
  const bool read_only_;
  Atomic<bool> failed_{false};
  Atomic<bool> stopped_{false};
};

}  // namespace scalefs::volume
