// Reads batches back: the chain behind a superblock, and what stands beyond its end. Decides nothing
// about corruption (recovery.h does), says only what is there.
//
// Not thread-safe. Errors: EIO from the device.
#pragma once

#include <optional>

#include "base/result.h"
#include "diskfs/batch_bytes.h"
#include "diskfs/block_device.h"
#include "diskfs/journal_format.h"

namespace scalefs::diskfs {

struct JournalBatch {
  BatchHeader header;
  BatchBytes bytes;
  ConstBytes payload() const { return bytes.payload(); }
};

class JournalReader {
 public:
  // The chain of `mount_epoch` from `start` on; start.position < area.blocks.
  JournalReader(BlockDevice& device, const JournalArea& area, uint64_t mount_epoch,
                const JournalPoint& start);

  // The batch at point() if it continues the chain: sealed, of the epoch, with the expected
  // place, sequence and previous checksum, and whole. Nothing when it does not; the reader stays.
  Result<std::optional<JournalBatch>> next();
  // Where the next batch would stand.
  const JournalPoint& point() const { return point_; }

  // What sealed headers at or beyond point() claim, whether or not their payload is whole. Those of
  // earlier laps are told by their sequence, those of earlier mounts by their epoch.
  struct Beyond {
    uint64_t flushed_seq = 0;  // largest of headers that belong behind point()
    uint64_t mount_epoch = 0;  // largest of all, as is the next
    uint64_t checkpoint_generation = 0;
  };
  // Looks at the first `blocks` blocks from point() on, all of the area if it is not smaller.
  Result<Beyond> look_beyond(uint64_t blocks = UINT64_MAX);

 private:
  Status read_blocks(uint64_t position, Bytes to);

  BlockDevice& device_;
  const JournalArea area_;
  const uint64_t mount_epoch_;
  const uint64_t start_position_;
  JournalPoint point_;
};

}  // namespace scalefs::diskfs
