// `scalefs sync MOUNTPOINT`: everything done on a mounted volume, durable on return. The kernel tells
// a FUSE daemon nothing of sync(2) and syncfs(2), hence the two steps: the kernel sends the pages
// that it holds (those dirtied through mmap), then an fsync of the root directory commits.
#pragma once

#include <string>

#include "base/result.h"

namespace scalefs::fuse {

// Returns the exit status; a failure is told on standard error.
int sync_command(const std::string& mountpoint);
// The same of the volume whose root directory is open as `root`. EIO: not everything is durable.
Status sync_volume(int root);

}  // namespace scalefs::fuse
