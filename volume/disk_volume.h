// A volume over a device: the parts, and how they hang together.
//
//   calls -> MemFs -> DiskBackend -> Admission, Loader, Writeback, MnodeMarks
//   MemFs -> OpLog -> Committer -> CommitPipeline -> DiskFs -> Checkpointer -> MemFs (durable stamp)
//
// Threads (options.threads): committer, flusher (periodic writeback and commit), checkpointer,
// maintenance. They only call what the step functions call. Order of the end: flusher and maintenance, then
// committer, then checkpointer, so that nothing waits for somebody who has gone.
//
// Locks of this class: end_mutex_ around unmount. Everything else is in the parts.
#pragma once

#include <memory>

#include "volume/checkpointer.h"
#include "volume/commit_pipeline.h"
#include "volume/disk_backend.h"
#include "volume/volume.h"
#include "volume/worker.h"

namespace scalefs::volume {

class DiskVolume final : public Volume, private Room, private CommitWork {
 public:
  DiskVolume(std::unique_ptr<diskfs::DiskFs> disk, const VolumeOptions& options,
             const MnodeMarks::Marks& marks);
  ~DiskVolume() override;

  // Once, before anything else: mount batches, root, threads.
  Status start(std::string* why);

  memfs::MemFs& fs() override { return *fs_; }
  Status fsync(MnodeNo mnode, bool data_only) override;
  void fsync_async(MnodeNo mnode, bool data_only, std::function<void(Status)> done) override;
  Status sync() override;
  StatFs statfs() override;
  Statistics statistics() override;
  Status unmount() override;
  void shutdown() override;
  void refuse_changes(std::string_view why) override { health_.fail(why, Errno(EUCLEAN)); }
  bool read_only() const override { return health_.read_only(); }
  bool failed() const override { return health_.failed() || disk_->failed(); }
  const diskfs::VolumeInfo& info() const override { return disk_->info(); }

  bool step_commit() override;
  bool step_checkpoint() override;
  bool step_writeback() override;
  bool step_maintenance() override;

 private:
  // --- Room
  uint64_t free_blocks() override { return disk_->allocator().free_blocks(); }
  uint64_t checkpoint_bound(const diskfs::PendingWork& more) override {
    return disk_->checkpoint_blocks_bound(more);
  }
  uint64_t inodes_bound() override { return disk_->inodes_bound(); }
  uint64_t log_operations() override { return pipeline_.logged().records; }
  uint64_t log_bytes() override { return pipeline_.logged().bytes; }
  uint64_t logged_places() override { return pipeline_.logged().places; }
  uint64_t page_bytes() override { return fs_->page_bytes(); }
  uint64_t dirty_bytes() override { return fs_->dirty_bytes(); }
  Status commit() override;
  Status recover_space() override;
  bool write_back_some() override { return writeback_.step(); }
  uint64_t evict_pages(uint64_t target) override { return fs_->evict_pages(target); }
  Status settle_pages() override;
  void want_commit() override;
  void want_write_back() override { flusher_.wake(); }
  void want_checkpoint() override { checkpoint_worker_.wake(); }

  // --- CommitWork: the pipeline, and what follows a commit. Where there is no memory the volume has failed.
  Status commit_cut() override;
  void clean_up() override;
  bool nothing_logged() override { return pipeline_.nothing_logged(); }

  Status start_parts(std::string* why);
  Status load_root(std::string* why);
  void start_threads();
  void stop_threads();
  uint64_t flusher_body(bool woken);
  uint64_t checkpoint_body(bool woken);
  uint64_t maintenance_body();
  // Reclaims what can be reclaimed, in a bounded number of rounds. True when something still waits.
  bool reclaim();
  bool write_back_dirty();

  const VolumeOptions options_;
  const std::unique_ptr<diskfs::DiskFs> disk_;
  Health health_;
  oplog::OpLog log_;
  InodeMap map_;
  CommittedView view_;
  MnodeMarks marks_;
  ReadPins pins_;
  BlockCredits credits_;
  CommitPipeline pipeline_;
  Committer committer_;
  Admission admission_;
  Writeback writeback_;
  Loader loader_;
  DiskBackend backend_;
  Checkpointer checkpointer_;
  std::unique_ptr<memfs::MemFs> fs_;
  PerCore<RelaxedCounter> fsyncs_;

  uint64_t flushed_ms_ = 0;  // the flusher's own
  std::thread commit_thread_;
  Worker flusher_, checkpoint_worker_, maintenance_;
  Mutex end_mutex_;
  bool ended_ GUARDED_BY(end_mutex_) = false;
};

}  // namespace scalefs::volume
