// Volume: MemFS over DiskFS, the embeddable file system. fs() serves the calls; this class makes them
// durable.
//
// Durability. fsync(file): on return (or when `done` is called) its data, size and attributes, and every
// namespace change completed before the call, are on the device. sync(): the same for everything.
// Without either: within commit_interval_ms. See DESIGN.md, "Durability contract".
//
// Threads: with options.threads a committer, a checkpointer, writeback and maintenance threads run;
// each only calls the step functions below, so that a test without threads drives every
// interleaving itself. Without threads a call that must wait (fsync, a full log) runs the steps itself.
//
// Failure: after a failed write of data, journal or checkpoint the volume is failed(): every fsync answers
// EIO from then on, changes answer EROFS, reads go on (I11).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diskfs/diskfs.h"
#include "memfs/memfs.h"

namespace scalefs::volume {

struct VolumeOptions {
  bool read_only = false;
  bool recover = true;  // false, with read_only alone: what the journal holds is left out
  bool threads = true;
  bool noatime = false;
  bool nodiratime = false;  // the same for directories alone
  bool relatime = true;
  bool discard = false;
  uint64_t commit_interval_ms = 5000;
  uint64_t cache_bytes = 512u << 20;        // pages (clean and dirty), tree nodes, logs
  uint64_t log_bytes_max = 64u << 20;       // records waiting for a commit; writers wait beyond it
  uint64_t background_commit_ops = 4096;    // a commit runs when so many records have gathered
  uint64_t background_commit_bytes = 1u << 20;
  size_t inline_bytes_max = 16384;          // a smaller fsync carries its data in the batch
};

struct StatFs {
  uint64_t blocks = 0;        // of kBlockBytes
  uint64_t blocks_free = 0;
  uint64_t blocks_available = 0;
  uint64_t files = 0;
  uint64_t files_free = 0;
};

struct Statistics {
  diskfs::DiskFs::Statistics disk;
  uint64_t fsyncs = 0, commits = 0, operations_committed = 0, absorbed = 0;
  uint64_t log_depth = 0, log_bytes = 0;
  std::vector<uint64_t> log_depth_of_cores;  // what no cut has taken yet
  double journal_fill = 0;                   // of its room, 0 to 1
  memfs::Usage memory;
};

class Volume {
 public:
  // A pure memory file system: fsync and sync succeed at once.
  static std::unique_ptr<Volume> memory(const VolumeOptions& options);
  // Recovers if needed. The device must outlive the Volume. `*why`: a sentence for the operator on error.
  static Result<std::unique_ptr<Volume>> mount(diskfs::BlockDevice& device,
                                               const VolumeOptions& options, std::string* why);
  // Like unmount(), but without a way to report errors.
  virtual ~Volume() = default;

  virtual memfs::MemFs& fs() = 0;

  // Writes back what is dirty in the file, then waits for a commit that began afterwards.
  // EIO: the volume has failed. EROFS is never returned: nothing to do on a read-only volume.
  virtual Status fsync(MnodeNo mnode, bool data_only) = 0;
  // The same without waiting for the commit: `done` is called once, from the committer or from here.
  virtual void fsync_async(MnodeNo mnode, bool data_only, std::function<void(Status)> done) = 0;
  // Everything: all dirty pages, all records.
  virtual Status sync() = 0;
  virtual StatFs statfs() = 0;
  virtual Statistics statistics() = 0;

  // sync(), checkpoint, stop the threads; later calls through fs() answer EIO. Idempotent.
  virtual Status unmount() = 0;
  // From now on as after a failed write (failed()); the first call logs `why`. For damage that was found.
  virtual void refuse_changes(std::string_view why) = 0;
  // Stops at once without making anything durable, as a crash would (tests; the shutdown ioctl).
  virtual void shutdown() = 0;

  virtual bool read_only() const = 0;
  virtual bool failed() const = 0;
  virtual const diskfs::VolumeInfo& info() const = 0;

  // --- steps. Each does a bounded amount of work and answers true when it did something.
  virtual bool step_commit() = 0;       // cut, translate, one batch or several, one flush each
  virtual bool step_checkpoint() = 0;
  virtual bool step_writeback() = 0;    // some dirty pages of some file
  virtual bool step_maintenance() = 0;  // deltas, epochs, reclaim, eviction, mnode numbers
};

}  // namespace scalefs::volume
