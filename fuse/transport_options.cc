#include "fuse/transport_options.h"

#include "fuse/options.h"

namespace scalefs::fuse {

TransportOptions transport_options(const Options& options, bool as_root, bool read_only) {
  return {.mount_options = mount_options(options, as_root, read_only),
          .threads = options.threads,
          .rings = options.io_uring,
          .ring_depth = options.queue_depth,
          .strict_open = options.strict_open,
          .debug = options.debug,
          .on_ready = {},
          .on_damage = {},
          .on_end = {}};
}

}  // namespace scalefs::fuse
