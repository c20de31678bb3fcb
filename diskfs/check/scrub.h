// Reads every block of data that the tree references and compares it with its checksum. Never
// writes. Damage inside the tree is the checker's business: what cannot be reached is left out.
// One call at a time; threads of its own read, and what is found does not depend on their number.
// Memory: some items a thread, 512 KiB a thread, and what is damaged.
#pragma once

#include <string>

#include "diskfs/check/check.h"

namespace scalefs::diskfs {

struct ScrubReport {
  static constexpr uint64_t kListMax = 100'000;
  Findings findings{kListMax};  // DATA-CHECKSUM and DATA-IO, a file each, by path where known
  uint64_t blocks = 0;
  uint64_t bad_blocks = 0;
};

// The newest checkpoint; what only the journal holds is checked when that is replayed. Errors as
// check_volume.
Result<ScrubReport> scrub_volume(BlockDevice& device, const CheckOptions& options,
                                 std::string* why);

}  // namespace scalefs::diskfs
