// The life of a mounted volume: open and lock the image, recover, mount, serve, and on the way out
// (unmounted from outside, or told to end by SIGTERM, SIGINT or SIGHUP) make everything durable.
#pragma once

#include <functional>
#include <memory>

#include "fuse/options.h"

namespace scalefs::diskfs {
class BlockDevice;
}

namespace scalefs::fuse {

// Mounts as `options` say. In the background the calling process exits in here, with 0 once the
// mount is there and else with kExitMountFailed and a message on standard error. Returns the
// exit status of the process that served.
//
// `wrap` puts a device of its own over the image's, for tests of what the image holds when the daemon ends.
using WrapDevice = std::function<std::unique_ptr<diskfs::BlockDevice>(diskfs::BlockDevice&)>;
int run_daemon(const Options& options, const WrapDevice& wrap = {});

}  // namespace scalefs::fuse
