// The checker: looks at everything on a volume and lists what is wrong. Never writes to the device.
// When the journal holds batches behind the newest superblock, they are replayed in memory by the
// ordinary mount, over an overlay, and the result is checked.
//
// One call at a time; nobody may write to the device meanwhile. Several threads of its own walk the tree; what
// is found, and in what order, does not depend on their number. Memory: a bit a block of the volume
// twice over, and what inode_table.h says.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/check/finding.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

struct CheckReport {
  Findings findings;
  Superblock superblock;  // the one that was checked; of the replayed volume if there was something
  uint64_t batches_replayed = 0;
  uint64_t inodes = 0;
  uint64_t directories = 0;
  uint64_t names = 0;
  uint64_t nodes = 0;
  uint64_t pages = 0;  // mapped
  uint64_t orphans = 0;
};

// Told now and then how much is done, roughly, by one thread at a time; may be empty.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

struct CheckOptions {
  size_t workers = 1;  // threads; 0: one for each CPU
  Progress progress;
};

// Errors are those that leave nothing to check; `*why` is a sentence for the operator: EINVAL (not
// a scalefs volume), ENOTSUP (newer format), EIO (no superblock can be read), ENOMEM. A volume
// without any valid superblock is a finding (SB-NONE), not an error.
Result<CheckReport> check_volume(BlockDevice& device, std::string* why,
                                 const CheckOptions& options = {});

// Replays the journal for good, as a mount does, if there is anything to replay. Returns the number
// of batches. Errors as DiskFs::mount.
Result<uint64_t> replay_volume(BlockDevice& device, std::string* why);

}  // namespace scalefs::diskfs
