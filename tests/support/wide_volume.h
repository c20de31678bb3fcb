// A volume whose tree is large enough to be checked in parts: many files in a few directories, and inodes whose
// items take more than a part.
#pragma once

#include "diskfs/block_device.h"

namespace scalefs::testing {

struct WideVolume {
  uint64_t blocks = 32768;   // of the device
  uint64_t files = 6000;     // each with a block or some bytes, names and attributes
  uint64_t mappings = 30000; // of one file
};

// Formats the device and fills it; unmounted in order. Failures are failures of the running test.
void make_wide_volume(diskfs::BlockDevice& device, const WideVolume& what);

}  // namespace scalefs::testing
