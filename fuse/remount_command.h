// mount -o remount: a mounted volume takes no second daemon. What the kernel keeps (ro, rw, nosuid, ...) can be
// changed; what the daemon was started with cannot, and asking for it is refused by name, not passed over.
#pragma once

#include "fuse/options.h"

namespace scalefs::fuse {

// Returns the exit status; a failure is told on standard error.
int remount_command(const Options& options);

// Options of the daemon that `wanted`, a list as it was given, sets to something else than `running` (own_options) has.
std::vector<std::string> changed_options(const std::string& running, const std::string& wanted);

}  // namespace scalefs::fuse
