#include "volume/disk_volume.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "base/canary.h"
#include "volume/mount_batch.h"

namespace scalefs::volume {

namespace {

// Rounds of maintenance that one call does at the most.
constexpr int kReclaimRounds = 16;
// Each may find room for some of the records of objects that have ended, and of pages.
constexpr int kRecoverRounds = 16;
// Of the committed view's covered entries, behind each cut: several times what a full group publishes.
constexpr size_t kDroppedACut = 256;
// How long a leader waits for as many as came together before.
constexpr uint64_t kGatherUs = 1000;

// The caller is inside MemFs::maintain(): what it logs may have to recover space, and must not come
// back there.
thread_local bool maintaining = false;

bool maintain(memfs::MemFs& fs) {
  if (maintaining) return false;
  struct Maintaining {
    Maintaining() { maintaining = true; }
    ~Maintaining() { maintaining = false; }
  } const here;
  return fs.maintain();
}

AdmissionLimits limits_of(const VolumeOptions& options) {
  AdmissionLimits limits;
  limits.log_bytes_max = std::max<uint64_t>(
      std::min(options.log_bytes_max, options.cache_bytes / 4), uint64_t{64} << 10);
  limits.page_bytes_max =
      std::max<uint64_t>(options.cache_bytes / 4 * 3, 16 * kBlockBytes);
  limits.commit_operations = options.background_commit_ops;
  limits.commit_bytes = options.background_commit_bytes;
  return limits;
}

}  // namespace

DiskVolume::DiskVolume(std::unique_ptr<diskfs::DiskFs> disk, const VolumeOptions& options,
                       const MnodeMarks::Marks& marks)
    : options_(options),
      disk_(std::move(disk)),
      health_(disk_->read_only()),
      view_(*disk_, map_),
      marks_(marks, core_count()),
      pins_([this](diskfs::BlockRun run) { disk_->allocator().free(run); }),
      credits_(*this, disk_->info().block_count),
      pipeline_({log_, *disk_, map_, view_, marks_, pins_, health_, credits_}),
      committer_(*this, options.threads && !disk_->read_only(), kGatherUs),
      admission_(*this, credits_, health_, limits_of(options)),
      writeback_({*disk_, admission_, credits_, health_, *this, options.inline_bytes_max}),
      loader_(*disk_, map_),
      backend_({*disk_, health_, admission_, loader_, pins_, writeback_, marks_, committer_, map_}),
      checkpointer_(*disk_, pipeline_, view_, health_, options.cache_bytes) {}

DiskVolume::~DiskVolume() {
  if (!health_.stopped()) (void)unmount();
}

Status DiskVolume::load_root(std::string* why) {
  auto root = loader_.load_root();
  if (!root.ok()) {
    *why = "the root directory cannot be read";
    return root.error();
  }
  memfs::MemFsOptions options;
  options.hash_key = disk_->info().hash_key;
  options.relatime = options_.relatime;
  options.noatime = options_.noatime || read_only();
  options.nodiratime = options_.nodiratime;
  fs_ = std::make_unique<memfs::MemFs>(options, &log_, &backend_);
  fs_->install_root(*root);
  writeback_.bind(*fs_);
  checkpointer_.bind(*fs_);
  return {};
}

Status DiskVolume::start(std::string* why) {
  int code = 0;
  try {
    return start_parts(why);
  } catch (const std::bad_alloc&) {
    code = ENOMEM;
  } catch (const std::system_error& error) {  // of a thread
    code = error.code().value();
  }
  health_.stop();
  stop_threads();
  *why = code == ENOMEM ? "there is not enough memory" : "a thread cannot be started";
  return Errno(code);
}

Status DiskVolume::start_parts(std::string* why) {
  if (!read_only()) {
    const Status status = commit_mount_batches(*disk_, marks_);
    if (!status.ok()) {
      *why = "the first commit of the mount failed";
      health_.stop();
      return status;
    }
  }
  const Status status = load_root(why);
  if (!status.ok()) {
    health_.stop();
    return status;
  }
  if (read_only()) return {};
  for (uint32_t core = 0; core < core_count(); ++core) {
    const uint64_t first = marks_.first(core);
    fs_->set_mnode_numbers(core, first, marks_.grant(core).value_or(first));
  }
  if (options_.threads) start_threads();
  return {};
}

Status DiskVolume::fsync(MnodeNo mnode, bool /*data_only*/) {
  if (read_only()) return {};
  fsyncs_.mine().add(1);
  SCALEFS_TRY_VOID(health_.may_sync());
  SCALEFS_TRY_VOID(writeback_.write_back(mnode));
  if (canary(Canary::fsync_without_commit)) return {};
  return committer_.wait(committer_.ticket());
}

void DiskVolume::fsync_async(MnodeNo mnode, bool /*data_only*/,
                             std::function<void(Status)> done) {
  if (read_only()) return done(Status());
  fsyncs_.mine().add(1);
  Status status = health_.may_sync();
  if (status.ok()) status = writeback_.write_back(mnode);
  if (!status.ok()) return done(status);
  const Committer::Ticket ticket = committer_.ticket();
  committer_.park(ticket, std::move(done));
}

Status DiskVolume::sync() {
  if (read_only()) return {};
  SCALEFS_TRY_VOID(health_.may_sync());
  SCALEFS_TRY_VOID(writeback_.write_back_all());
  return committer_.wait(committer_.ticket());
}

StatFs DiskVolume::statfs() {
  StatFs result;
  result.blocks = disk_->info().block_count;
  result.blocks_free = credits_.available_for_users();
  result.blocks_available = result.blocks_free;
  return result;
}

Statistics DiskVolume::statistics() {
  Statistics result;
  result.disk = disk_->statistics();
  const CommitPipeline::Counts counts = pipeline_.counts();
  for (uint32_t core = 0; core < fsyncs_.size(); ++core) result.fsyncs += fsyncs_.at(core).get();
  result.commits = counts.commits;
  result.operations_committed = counts.operations;
  result.absorbed = counts.absorbed;
  result.log_depth = log_operations();
  result.log_bytes = log_bytes();
  for (uint32_t core = 0; core < fsyncs_.size(); ++core) {
    result.log_depth_of_cores.push_back(log_.depth_of(core));
  }
  result.journal_fill = disk_->journal_fill();
  result.memory = fs_->usage();
  return result;
}

Status DiskVolume::commit_cut() {
  try {
    const Status status = pipeline_.commit_cut();
    pins_.step();
    if (!status.ok()) return status;
    checkpointer_.note();
  } catch (const std::bad_alloc&) {
    // What the cut took out of the logs cannot go back.
    health_.fail("a commit", Errno(ENOMEM));
    return Errno(EIO);
  }
  if (checkpointer_.fill_due()) want_checkpoint();
  return {};
}

void DiskVolume::clean_up() {
  pipeline_.clean_up();
  checkpointer_.drop_covered(kDroppedACut);
}

Status DiskVolume::commit() { return committer_.wait(committer_.ticket()); }

void DiskVolume::want_commit() {
  if (options_.threads) committer_.request();
}

bool DiskVolume::reclaim() {
  bool more = true;
  for (int round = 0; round < kReclaimRounds && more; ++round) more = maintain(*fs_);
  return more;
}

// Pages that replace others on disk give their blocks back when they are written, and those that do not
// free what a credit holds for their share of the tree. True when some are left.
bool DiskVolume::write_back_dirty() {
  const uint64_t dirty = fs_->usage().dirty_bytes;
  for (uint64_t done = 0; done < dirty && writeback_.step(); done += kBlockBytes) {
  }
  const uint64_t left = fs_->usage().dirty_bytes;
  return left != 0 && left < dirty;
}

Status DiskVolume::recover_space() {
  bool more = true;
  for (int round = 0; round < kRecoverRounds && more; ++round) {
    more = reclaim();
    more |= write_back_dirty();
    SCALEFS_TRY_VOID(commit());
    // What the first one freed the second one releases.
    for (int i = 0; i < 2; ++i) {
      SCALEFS_TRY(const bool ran, checkpointer_.run());
      if (!ran) break;
    }
    disk_->wait_for_readers();
    pins_.step();
  }
  return {};
}

Status DiskVolume::settle_pages() {
  SCALEFS_TRY_VOID(commit());
  SCALEFS_TRY_VOID(checkpointer_.run());
  return {};
}

bool DiskVolume::step_commit() { return !read_only() && committer_.step(); }

bool DiskVolume::step_checkpoint() {
  if (read_only()) return false;
  const auto ran = checkpointer_.run();
  return ran.ok() && *ran;
}

bool DiskVolume::step_writeback() { return !read_only() && writeback_.step(); }

bool DiskVolume::step_maintenance() {
  if (health_.stopped()) return false;
  bool more = maintain(*fs_);
  more |= pins_.step();
  const uint64_t before = fs_->usage().page_bytes;
  if (before > admission_.limits().page_bytes_max) {
    more |= fs_->evict_pages(admission_.page_bytes_target()) < before;
  }
  return more;
}

}  // namespace scalefs::volume
