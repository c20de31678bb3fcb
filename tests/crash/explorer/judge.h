// One crash state judged.
#pragma once

#include <string>

#include "diskfs/memory_device.h"
#include "tests/support/crash_oracle.h"

namespace scalefs::testing {

// Recovers the image and compares it with what is allowed after `events` events. `thorough`: checks the
// recovered image, recovers it once more, which must change nothing that can be seen, and uses it.
// Empty when all is well. The image is changed.
std::string judge(diskfs::MemoryDevice& image, const CrashOracle& oracle, uint64_t events,
                  bool thorough);

}  // namespace scalefs::testing
