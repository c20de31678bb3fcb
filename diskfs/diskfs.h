// DiskFs: an image as the rooms above see it. Readers read the last durable checkpoint, one
// committer at a time appends batches to the journal, one checkpointer at a time brings committed
// batches into the tree.
//
// Thread safety: pin/reader/read_data/allocator from any thread; commit from one thread at a time;
// checkpoint from one thread at a time, concurrently with commits and readers.
//
// Failure (I11, P10): a failed journal write or flush, or an unreadable node during apply, makes the
// volume failed() for good: commit and checkpoint answer EROFS from then on, reads go on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/hash.h"
#include "diskfs/allocator.h"
#include "diskfs/batch.h"
#include "diskfs/block_device.h"
#include "diskfs/checkpoint_bound.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

struct MountOptions {
  bool read_only = false;        // recovery then happens in memory, over an overlay
  bool recover = true;           // false, read-only: the tree as the superblock has it, without the journal
  size_t node_cache_bytes = 32u << 20;
  bool discard = false;
  bool metadata_image = false;   // takes one too (tools); its names are not what they say
};

struct VolumeInfo {
  uint8_t uuid[16] = {};
  std::string label;
  uint64_t block_count = 0;
  uint64_t journal_blocks = 0;
  HashKey hash_key;
  uint64_t mount_epoch = 0;
};

// Keeps one durable checkpoint, its nodes and the blocks that it references from being reused. May be
// held across I/O. Movable, not copyable.
class CheckpointPin {
 public:
  CheckpointPin() = default;
  CheckpointPin(CheckpointPin&&) noexcept;
  CheckpointPin& operator=(CheckpointPin&&) noexcept;
  ~CheckpointPin();
  explicit operator bool() const { return state_ != nullptr; }
  const TreeReader& reader() const;
  // Every batch with a sequence <= covered_seq() is in this tree, none beyond it.
  uint64_t covered_seq() const;
  struct State;

 private:
  friend class DiskFsImpl;
  explicit CheckpointPin(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

class DiskFs {
 public:
  // Takes the newest valid superblock, replays the journal behind it (P8), and unless read_only makes
  // a superblock with a new mount epoch durable. On error `*why` is a sentence for the operator.
  // Errors: EINVAL (not scalefs, or to be written without recovery), ENOTSUP (newer format, unknown incompatible feature, a metadata image), EUCLEAN
  // (damaged), EIO, EROFS. The device must outlive the DiskFs.
  static Result<std::unique_ptr<DiskFs>> mount(BlockDevice& device, const MountOptions& options,
                                               std::string* why);
  // Does not commit or checkpoint: what was durable stays so.
  virtual ~DiskFs() = default;

  virtual const VolumeInfo& info() const = 0;
  virtual bool failed() const = 0;
  virtual bool read_only() const = 0;

  // --- readers
  virtual CheckpointPin pin() = 0;
  // One block of file data, verified against its CRC. EUCLEAN on mismatch.
  virtual Status read_data(BlockNo block, uint32_t crc, Bytes to) = 0;
  // Consecutive blocks; each verified.
  virtual Status read_data_run(BlockNo first, std::span<const uint32_t> crcs, Bytes to) = 0;

  // --- data and space
  // Writes file data to blocks that allocator() gave out. Not durable before the next commit's flush.
  virtual Status write_data(BlockNo first, ConstBytes from) = 0;
  virtual Allocator& allocator() = 0;

  // --- committer
  // Largest encoded size that one batch may have.
  virtual size_t batch_bytes_max() const = 0;
  // A number for a new inode; consecutive unless recycled. Committer only.
  virtual Result<Ino> allocate_ino() = 0;
  // Writes the batch with one device write and makes it durable with one flush, together with all
  // data written by write_data before. When the journal lacks room it runs or waits for a checkpoint
  // first. The batch is gone, whatever the answer; its memory is kept, as it is, until its checkpoint. Returns the
  // batch's sequence number. An empty batch writes nothing and flushes nothing.
  // Errors: EROFS (read-only, unmounted, or failed() before), EIO or EUCLEAN (failed() from now on),
  // ENOSPC (no room in the journal, since no checkpoint finds room: not failed).
  virtual Result<uint64_t> commit(Batch batch) = 0;
  virtual uint64_t committed_seq() const = 0;

  // --- checkpointer
  // Brings every batch committed before the call into the tree and makes that durable (P7).
  // Afterwards new pins see it. What it freed is released to the allocator by the next call, when no
  // pin of an older one is left, and so is the room in the journal: without new batches that next
  // call writes a superblock and nothing else, and the calls after it do nothing.
  // ENOSPC: no room for tree nodes or inline pages; nothing has changed, the volume has not failed.
  virtual Status checkpoint() = 0;
  virtual uint64_t checkpointed_seq() const = 0;  // covered by what new pins read
  // checkpoint(), then a superblock that says that nothing stands behind it, so that the next mount
  // need not look through the journal. commit and checkpoint answer EROFS afterwards; reads go on.
  // Committer and checkpointer must be at rest. Nothing to do, and ok, on a read-only mount.
  virtual Status unmount() = 0;
  // 0..1: how much of the journal is taken by batches that the durable checkpoint does not cover.
  virtual double journal_fill() const = 0;
  // Upper bound of blocks that the next checkpoint may allocate for tree nodes and inline pages, if
  // `more` is committed before it.
  virtual uint64_t checkpoint_blocks_bound(const PendingWork& more = {}) const = 0;
  // Inodes of the durable checkpoint, and those that committed batches may have added.
  virtual uint64_t inodes_bound() const = 0;
  // Waits until no pin of an older checkpoint keeps freed blocks, and releases those. For callers that
  // hold no pin; pins are held across reads only, so that this ends.
  virtual void wait_for_readers() = 0;

  struct Statistics {
    uint64_t batches = 0, batch_bytes = 0, flushes = 0, checkpoints = 0, checkpoint_blocks = 0;
    uint64_t nodes_read = 0, corruptions = 0;
    uint64_t checkpoints_without_room = 0;  // that ended with ENOSPC
  };
  virtual Statistics statistics() const = 0;
};

}  // namespace scalefs::diskfs
