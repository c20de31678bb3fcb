// `scalefs stat [--json] MOUNTPOINT`: what the daemon of a mounted volume has counted (fuse/inquiry.h).
#pragma once

#include <string>

namespace scalefs::fuse {

// Returns the exit status; a failure is told on standard error.
int stat_command(const std::string& mountpoint, bool json);

}  // namespace scalefs::fuse
