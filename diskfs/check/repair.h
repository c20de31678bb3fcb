// Repairs a volume. Never in place: a new checkpoint is built beside the one there is, the checker
// looks at it before it counts, and only then a superblock makes it the newest. So a repair that
// ends anywhere, by a crash or an error, leaves what was there, and may be run again.
//
//   choose    the superblock: the newest copy, or one before it whose root can be read
//   salvage   tree and journal (salvage.h). The ordinary replay of a mount is not used: it trusts the
//             maps, and with wrong ones would write over what is in use
//   correct   items, names, counts, in rounds until nothing is left to do (repair_scan.h,
//             repair_names.h), as changes to the tree, or to a copy of it where nodes are damaged
//   write     nodes to blocks that neither the old nor the new state references; maps, computed from
//             what is referenced, beside those in force; flush
//   verify    the checker, over memory that has the new superblock
//   decide    the caller sees what was done and what is lost, and says whether it shall be
//   commit    the superblock with a new generation and mount epoch, so that no old batch follows it;
//             flush; then the damaged superblock copies
//
// Not thread-safe; nobody else may use the device. Memory: what the parts say.
#pragma once

#include <functional>
#include <string>

#include "diskfs/block_device.h"
#include "diskfs/check/check.h"
#include "diskfs/check/salvage.h"

namespace scalefs::diskfs {

struct RepairOptions {
  size_t workers = 1;  // threads of the check of the result; 0: one for each CPU
  // Asked once, with the log complete, before the repair counts; empty: yes.
  std::function<bool(const RepairLog& log)> confirm;
};

struct RepairReport {
  RepairLog log;
  bool repaired = false;
  bool declined = false;  // by confirm
  uint64_t generation = 0;
  uint64_t blocks_written = 0;
  // Not repaired, and not declined: what the checker would still find.
  Findings left;
};

// Errors, with a sentence in `*why`; nothing has changed then, unless writing the superblock failed:
// EINVAL, ENOTSUP (as check_volume), EUCLEAN (no valid superblock, a truncated device), EROFS
// (features that may only be read), ENOSPC (no room for the new checkpoint), EIO.
Result<RepairReport> repair_volume(BlockDevice& device, const RepairOptions& options,
                                   std::string* why);

}  // namespace scalefs::diskfs
