// Checkpoints and what follows them: the stamp up to which loaders now see everything (P4), and the
// overlay that the checkpoint made superfluous.
//
// note() takes account of a checkpoint by whomever: DiskFs::commit runs one itself when the journal is
// full. It also follows commits that had nothing to write, which cover stamps without a batch. What it finds covered
// leaves the overlay later, drop_covered() a time: behind the answers of a commit, some entries, since one at a lower
// priority would hold up commits, and all where none comes.
//
// When one is due: more than kFillDue of the journal to bring in, batches in memory beyond an eighth of the cache,
// kPeriodMs since the last one with something to do. The journal keeps what the last checkpoint brought in until the
// next one is durable (P7), so with a third there is a third for commits while one runs; they waited for each one to end
// when it began at a half.
//
// Locks: run_mutex_ around a checkpoint and its I/O; note_mutex_ around the stamp, inside. set_durable_stamp
// takes no lock of MemFS that a caller of ours can hold.
#pragma once

#include "diskfs/diskfs.h"
#include "memfs/memfs.h"
#include "volume/commit_pipeline.h"
#include "volume/committed_view.h"
#include "volume/health.h"

namespace scalefs::volume {

class Checkpointer {
 public:
  static constexpr uint64_t kPeriodMs = 30'000;
  static constexpr double kFillDue = 1.0 / 3;

  Checkpointer(diskfs::DiskFs& disk, CommitPipeline& pipeline, CommittedView& view, Health& health,
               uint64_t cache_bytes)
      : disk_(disk), pipeline_(pipeline), view_(view), health_(health), cache_bytes_(cache_bytes) {}
  void bind(memfs::MemFs& fs);

  // Brings what is committed into the tree; when there is nothing, releases what the checkpoint before
  // freed. False: neither was left to do. EIO: failed or stopped. ENOSPC: no room for tree nodes.
  Result<bool> run();
  void note();
  // Of the overlay, `entries` at the most.
  void drop_covered(size_t entries = SIZE_MAX) { view_.drop_covered(covered_seq_.load(relaxed), entries); }
  bool due();
  // The journal alone says so. Cheap.
  bool fill_due() const { return disk_.journal_fill() > kFillDue; }
  // Something is committed that is not in a checkpoint, or freed space waits for the next one.
  bool has_work();
  // Waits for a checkpoint that is running.
  void drain() { MutexLock lock(run_mutex_); }

 private:
  diskfs::DiskFs& disk_;
  CommitPipeline& pipeline_;
  CommittedView& view_;
  Health& health_;
  const uint64_t cache_bytes_;
  memfs::MemFs* fs_ = nullptr;
  Mutex run_mutex_;
  // What the last checkpoint with batches, or recovery, freed waits for another. Relaxed: a late look costs
  // one turn.
  Atomic<bool> release_pending_{true};
  Atomic<uint64_t> last_ms_{0};
  Atomic<uint64_t> covered_seq_{0};  // noted_seq_; a late look drops later, hence relaxed
  Mutex note_mutex_;
  oplog::Stamp noted_ GUARDED_BY(note_mutex_) = 0;
  uint64_t noted_seq_ GUARDED_BY(note_mutex_) = 0;
};

}  // namespace scalefs::volume
