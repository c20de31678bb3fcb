#include "fuse/transport_options.h"

#include "fuse/options.h"

namespace scalefs::fuse {

TransportOptions transport_options(const Options& options, bool as_root, bool read_only) {
  return {.mount_options = mount_options(options, as_root, read_only),
          .threads = options.threads,
          .rings = options.io_uring,
          .ring_depth = options.queue_depth,
          // Who is refused must be refused each open: the kernel asks for nothing else where it knows names and pages.
          .strict_open = options.strict_open || options.allow_root,
          .writeback_cache = options.writeback_cache,
          .debug = options.debug,
          .on_ready = {},
          .on_damage = {},
          .on_end = {}};
}

}  // namespace scalefs::fuse
