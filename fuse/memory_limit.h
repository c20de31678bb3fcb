// How much memory there is for this process, and what of it is taken for cached data where nobody says.
#pragma once

#include <cstdint>
#include <string>

namespace scalefs::fuse {

// What the machine has, or less where a control group of this process, or one above, has a limit (cgroups(7), both
// versions where systemd and container runtimes mount them). `root`: goes before the paths of /proc and /sys, for tests.
uint64_t memory_limit(const std::string& root = "");

// A sixteenth; at least 512 MiB, but no more than half.
uint64_t default_cache_bytes(uint64_t limit);

}  // namespace scalefs::fuse
