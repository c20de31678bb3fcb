// What the journal behind a superblock holds: the batches to be applied, and where the log ends
// (P8). Only reads. Applying them is the ordinary checkpoint's business (I8).
//
// The end of the log is the first batch that is not whole, or whose data blocks do not have the
// checksums that it names. That is what a crash leaves while a batch is being written, and the
// batch was not acknowledged then. The same at or below a sequence that was known durable when a
// later batch was written is damage, not an end. Rot of the very last batch, or of its data, cannot
// be told from a torn write and counts as the end.
#pragma once

#include <string>

#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/pending_log.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

JournalArea journal_area(const Superblock& sb);
// Where the batch after covered_seq begins.
JournalPoint journal_start(const Superblock& sb);

struct RecoveredJournal {
  CommittedBatches batches;  // validated: checksums, encoding, blocks inside the data area
  JournalPoint end;          // where the next batch goes
  bool damaged = false;      // the log goes on behind `end`, but cannot be read
  // The largest that any sealed header of the journal names.
  uint64_t seen_mount_epoch = 0;
  uint64_t seen_generation = 0;
};

// Errors: EUCLEAN (damage; a superblock newer than `sb` was lost; a batch that no encoder wrote), EIO.
// `*why` then is a sentence for the operator. With `take_prefix`, damage inside the log is no error:
// the batches before it are taken and `damaged` is set (read-only mounts, fsck).
Result<RecoveredJournal> recover_journal(BlockDevice& device, const Superblock& sb,
                                         bool take_prefix, std::string* why);

// For repairs: takes whatever of the chain behind `sb` can be taken. A lost superblock, or an older
// one than the newest, is no error: batches written behind newer ones, and by later mounts, are taken
// as long as sequence and checksums chain them. `damaged` and `*why` say that something is missing.
// Errors: EIO.
Result<RecoveredJournal> salvage_journal(BlockDevice& device, const Superblock& sb,
                                         std::string* why);

}  // namespace scalefs::diskfs
