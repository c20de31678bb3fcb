// Finds the superblock copies of a device and chooses the newest (FORMAT.md, "Choosing a
// superblock").
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diskfs/superblock.h"

namespace scalefs::diskfs {

// One place that was looked at.
struct SuperblockCopy {
  uint64_t block = 0;
  int error = 0;    // 0, or what decode_superblock or the device answered
  std::string why;  // when error is not 0
  Superblock sb;    // when error is 0
};

struct SuperblockScan {
  std::vector<SuperblockCopy> copies;  // in order of place
  // Index of the newest copy of the volume in `copies`; empty when there is none to be used, and
  // then `error` and `why` say why, for the operator.
  std::optional<size_t> newest;
  int error = 0;
  std::string why;
};

// Looks at every place. The volume is that of the newest valid copy in the ring, else of the newest
// at the end of the device; copies of other volumes count as damaged (EUCLEAN). Any copy that
// carries a newer format stops the choice (ENOTSUP): an older checkpoint must not be mounted behind
// the back of a newer program.
SuperblockScan scan_superblocks(BlockDevice& device);

}  // namespace scalefs::diskfs
