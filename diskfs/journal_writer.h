// Appends batches to the journal. Writes only: the caller makes sure beforehand that the blocks are
// free (point().position minus what checkpoints have released, P7), flushes afterwards and then says
// so (note_flushed).
//
// Not thread-safe: one committer.
#pragma once

#include "base/result.h"
#include "diskfs/batch_bytes.h"
#include "diskfs/block_device.h"
#include "diskfs/journal_format.h"

namespace scalefs::diskfs {

class JournalWriter {
 public:
  // Goes on at `start` under `mount_epoch`. The superblock that carries this epoch and this start
  // must be durable before the first append, so that no batch of an earlier epoch can follow (P8).
  JournalWriter(BlockDevice& device, const JournalArea& area, uint64_t mount_epoch,
                const JournalPoint& start);

  // Fills in the batch's header. One device write, two where the area ends inside the batch. After an
  // error the writer must not be used any more: nobody knows what the device holds.
  Status append(BatchBytes& batch, uint32_t op_count, uint64_t checkpoint_generation);
  // Every batch appended so far is durable.
  void note_flushed() { flushed_seq_ = point_.sequence - 1; }

  // Where the next batch goes.
  const JournalPoint& point() const { return point_; }
  uint64_t flushed_seq() const { return flushed_seq_; }

 private:
  BlockDevice& device_;
  const JournalArea area_;
  const uint64_t mount_epoch_;
  JournalPoint point_;
  uint64_t flushed_seq_;
};

}  // namespace scalefs::diskfs
