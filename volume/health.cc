#include "volume/health.h"

#include <cstring>

#include "base/log.h"

namespace scalefs::volume {

void Health::fail(std::string_view what, Errno error) {
  if (failed_.exchange(true, relaxed)) return;
  log_error("{} failed: {}; the volume is read-only from now on", what, std::strerror(error.code()));
}

Status Health::may_change() const {
  if (stopped()) return Errno(EIO);
  if (read_only_ || failed()) return Errno(EROFS);
  return {};
}

Status Health::may_sync() const {
  if (stopped() || failed()) return Errno(EIO);
  return {};
}

}  // namespace scalefs::volume
