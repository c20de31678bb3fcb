// The DiskFs behind the interface: the journal's writer, the pending log, the durable checkpoint and
// the checkpointer's state.
//
// Locks, in order: checkpoint_mutex_ (one checkpoint at a time, held across its I/O), then
// state_mutex_ (what committer and checkpointer share; short, no I/O) or the mutex of inos_, then
// current_lock_ (which tree new pins read; some instructions). The committer holds none of them across its own I/O, and waits
// for checkpoint_mutex_ only when the journal lacks room.
//
// One commit:      room, journal write, flush, pending log, committed_seq.
// One checkpoint:  snapshot of the pending log; build (checkpoint.h); flush; superblock; flush; new
//                  pins; checkpointed_seq; the batches leave the log; what the superblock before it
//                  freed, and the journal up to where that began, are released.
//
// failed_ is set once and never taken back. Who sees it late writes at most a batch that is behind
// everything acknowledged, or builds a checkpoint whose superblock is not written any more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/atomic.h"
#include "base/mutex.h"
#include "diskfs/checkpoint.h"
#include "diskfs/diskfs.h"
#include "diskfs/ino_source.h"
#include "diskfs/journal_writer.h"
#include "diskfs/overlay_device.h"
#include "diskfs/pending_log.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

// Tells who waits for pins that one more tree is read by nobody.
class PinEnds {
 public:
  void ended() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  uint64_t count() {
    MutexLock lock(mutex_);
    return count_;
  }
  void wait_beyond(uint64_t count) {
    MutexLock lock(mutex_);
    while (count_ == count) changed_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
};

struct CheckpointPin::State {
  State(NodeStore& store, const Superblock& sb, std::shared_ptr<PinEnds> pin_ends)
      : reader(store, sb.root),
        generation(sb.generation),
        covered_seq(sb.covered_seq),
        ends(std::move(pin_ends)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ends->ended(); }

  const TreeReader reader;
  const uint64_t generation;  // of the superblock that began with this tree
  const uint64_t covered_seq;
  const std::shared_ptr<PinEnds> ends;  // a pin may outlive the DiskFs
};

class DiskFsImpl final : public DiskFs {
 public:
  // `overlay` is set, and is `device`, for a read-only mount. `device` must outlive the object.
  DiskFsImpl(BlockDevice& device, std::unique_ptr<OverlayDevice> overlay, const Superblock& sb,
             std::unique_ptr<SpaceMap> map, const MountOptions& options);
  ~DiskFsImpl() override;

  // Brings what the journal holds into the tree, and unless read_only begins a new mount epoch, in
  // one superblock. To be called once, before anything else.
  Status start(RecoveredJournal journal);

  const VolumeInfo& info() const override { return info_; }
  bool failed() const override { return failed_.load(acquire); }  // pairs with fail
  bool read_only() const override { return overlay_ != nullptr; }

  CheckpointPin pin() override;
  Status read_data(BlockNo block, uint32_t crc, Bytes to) override;
  Status read_data_run(BlockNo first, std::span<const uint32_t> crcs, Bytes to) override;

  Status write_data(BlockNo first, ConstBytes from) override;
  Allocator& allocator() override { return allocator_; }

  size_t batch_bytes_max() const override { return batch_payload_bytes_max(area_.blocks); }
  Result<Ino> allocate_ino() override;
  Result<uint64_t> commit(Batch batch) override;
  uint64_t committed_seq() const override { return committed_seq_.load(acquire); }  // with commit

  Status checkpoint() override;
  // Pairs with publish: who reads a sequence here gets a pin that covers it.
  uint64_t checkpointed_seq() const override { return checkpointed_seq_.load(acquire); }
  Status unmount() override;
  double journal_fill() const override;
  uint64_t checkpoint_blocks_bound(const PendingWork& more) const override;
  uint64_t inodes_bound() const override;
  void wait_for_readers() override;
  Statistics statistics() const override;

 private:
  // Blocks that a superblock made free, in order of its generation.
  struct Frees {
    uint64_t generation = 0;
    std::vector<BlockRun> runs;
  };
  struct OldState {
    uint64_t generation = 0;
    std::weak_ptr<CheckpointPin::State> state;
  };

  // Makes the volume failed for good and logs why once. Answers EUCLEAN for that, else EIO.
  Errno fail(const char* what, Errno error);
  bool writable() const { return !read_only() && !failed() && !closed_.load(acquire); }

  // --- committer
  Status wait_for_room(uint64_t blocks);
  bool has_room(uint64_t blocks) const EXCLUDES(state_mutex_);

  // --- checkpointer
  // ENOMEM: there was no memory, and nothing has changed. Throws nothing.
  Status checkpoint_once() REQUIRES(checkpoint_mutex_);
  Status checkpoint_batches(const CommittedBatches& batches) REQUIRES(checkpoint_mutex_);
  Status run_checkpoint(const CommittedBatches& batches) REQUIRES(checkpoint_mutex_);
  // Makes `next` the durable superblock; flushes before and after.
  Status make_durable(const Superblock& next) REQUIRES(checkpoint_mutex_);
  // The same, for one that differs from sb_ in generation and state only.
  Status renew_superblock(uint32_t state) REQUIRES(checkpoint_mutex_);
  void publish(uint64_t covered_position, CheckpointOutcome outcome) REQUIRES(checkpoint_mutex_);
  void release_frees() REQUIRES(checkpoint_mutex_);
  // What the superblock in force says of the tree, for bounds. Reads the root.
  void measure_tree() REQUIRES(checkpoint_mutex_);
  // After a change of inodes_ or pending_.
  void note_inodes() REQUIRES(state_mutex_) {
    inodes_bound_.store(inodes_ + pending_.work().items, release);  // pairs with inodes_bound
  }
  bool waits_for_superblock() const REQUIRES(checkpoint_mutex_);
  Status flush();

  // --- constant after construction
  BlockDevice& device_;
  const std::unique_ptr<OverlayDevice> overlay_;
  const bool discard_;
  VolumeInfo info_;
  const Geometry geometry_;
  const JournalArea area_;

  // --- with their own synchronization
  NodeStore store_;
  Allocator allocator_;
  InoSource inos_;
  const std::shared_ptr<PinEnds> pin_ends_ = std::make_shared<PinEnds>();
  Atomic<bool> failed_{false};
  Atomic<bool> closed_{false};  // unmounted; release in unmount, acquire in writable
  Atomic<uint64_t> committed_seq_{0};
  Atomic<uint64_t> checkpointed_seq_{0};
  Atomic<uint64_t> durable_generation_{0};  // release in make_durable, acquire in commit
  RelaxedCounter batches_, batch_bytes_, flushes_, checkpoints_, checkpoint_blocks_, corruptions_;
  RelaxedCounter checkpoints_without_room_;

  mutable SpinBit current_lock_;
  std::shared_ptr<CheckpointPin::State> current_ GUARDED_BY(current_lock_);

  // --- the committer's own
  std::unique_ptr<JournalWriter> writer_;

  Mutex checkpoint_mutex_;
  Superblock sb_ GUARDED_BY(checkpoint_mutex_);  // the newest durable one
  std::unique_ptr<SpaceMap> map_ GUARDED_BY(checkpoint_mutex_);
  std::vector<Frees> frees_ GUARDED_BY(checkpoint_mutex_);
  std::vector<OldState> old_states_ GUARDED_BY(checkpoint_mutex_);

  mutable Mutex state_mutex_;
  PendingLog pending_ GUARDED_BY(state_mutex_);
  JournalPoint end_ GUARDED_BY(state_mutex_);       // where the next batch goes
  uint64_t covered_ GUARDED_BY(state_mutex_) = 0;   // position where the durable checkpoint begins
  uint64_t released_ GUARDED_BY(state_mutex_) = 0;  // and the one before it: blocks before are free
  uint32_t tree_height_ GUARDED_BY(state_mutex_) = 0;
  uint64_t tree_nodes_ GUARDED_BY(state_mutex_) = 0;  // at the most
  uint64_t inodes_ GUARDED_BY(state_mutex_) = 0;
  // Written with what it is made of, under the mutex; read without (release, acquire). With lines of its
  // own, for statfs reads it.
  alignas(kFalseSharingBytes) Atomic<uint64_t> inodes_bound_{0};
};

}  // namespace scalefs::diskfs
