// One crash state judged.
#pragma once

#include <functional>
#include <string>

#include "diskfs/memory_device.h"
#include "tests/support/crash_oracle.h"

namespace scalefs::testing {

// Recovers the image and compares it with what is allowed after `events` events. `thorough`: checks the
// recovered image, recovers it once more, which must change nothing that can be seen, and uses it.
// Empty when all is well. The image is changed.
std::string judge(diskfs::MemoryDevice& image, const CrashOracle& oracle, uint64_t events,
                  bool thorough);
// The same with other ways to compare: what is wrong with the volume, and all that was looked at.
using Comparison = std::function<std::string(volume::Volume&, std::string* seen)>;
std::string judge(diskfs::MemoryDevice& image, const Comparison& compare, bool thorough);

}  // namespace scalefs::testing
