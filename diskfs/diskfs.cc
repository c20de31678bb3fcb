#include "diskfs/diskfs.h"

#include <fmt/format.h>

#include <cstring>

#include "base/canary.h"
#include "base/log.h"
#include "diskfs/diskfs_impl.h"

namespace scalefs::diskfs {

CheckpointPin::CheckpointPin(std::shared_ptr<State> state) : state_(std::move(state)) {}
CheckpointPin::CheckpointPin(CheckpointPin&&) noexcept = default;
CheckpointPin& CheckpointPin::operator=(CheckpointPin&&) noexcept = default;
CheckpointPin::~CheckpointPin() = default;

const TreeReader& CheckpointPin::reader() const {
  SCALEFS_CHECK(state_ != nullptr);
  return state_->reader;
}

uint64_t CheckpointPin::covered_seq() const {
  SCALEFS_CHECK(state_ != nullptr);
  return state_->covered_seq;
}

namespace {

// A mount that writes begins a new epoch.
VolumeInfo make_info(const Superblock& sb, bool read_only) {
  VolumeInfo info;
  std::memcpy(info.uuid, sb.uuid.data(), sb.uuid.size());
  info.label = sb.label;
  info.block_count = sb.geometry.block_count;
  info.journal_blocks = sb.geometry.journal_blocks;
  info.hash_key = sb.hash_key;
  info.mount_epoch = sb.mount_epoch + (read_only ? 0 : 1);
  return info;
}

NodeStore::Options store_options(const MountOptions& options) {
  NodeStore::Options store;
  store.cache_bytes = options.node_cache_bytes;
  return store;
}

}  // namespace

DiskFsImpl::DiskFsImpl(BlockDevice& device, std::unique_ptr<OverlayDevice> overlay,
                       const Superblock& sb, std::unique_ptr<SpaceMap> map,
                       const MountOptions& options)
    : device_(device),
      overlay_(std::move(overlay)),
      discard_(options.discard),
      info_(make_info(sb, overlay_ != nullptr)),
      geometry_(sb.geometry),
      area_(journal_area(sb)),
      store_(device, info_.uuid, info_.hash_key, store_options(options)),
      allocator_(geometry_.block_count, geometry_.group_blocks,
                 [&map](uint64_t block) { return map->test(BlockNo(block)); }),
      sb_(sb),
      map_(std::move(map)) {}

DiskFsImpl::~DiskFsImpl() = default;

Errno DiskFsImpl::fail(const char* what, Errno error) {
  // Pairs with failed().
  if (!failed_.exchange(true, acq_rel)) {
    log_error("{}: {}; the volume takes no more changes", what, std::strerror(error.code()));
  }
  return error.code() == EUCLEAN ? error : Errno(EIO);
}

Status DiskFsImpl::flush() {
  flushes_.add(1);
  return device_.flush();
}

// --- readers

CheckpointPin DiskFsImpl::pin() {
  SpinLock lock(current_lock_);
  return CheckpointPin(current_);
}

Status DiskFsImpl::read_data(BlockNo block, uint32_t crc, Bytes to) {
  return read_data_run(block, std::span(&crc, 1), to);
}

Status DiskFsImpl::read_data_run(BlockNo first, std::span<const uint32_t> crcs, Bytes to) {
  SCALEFS_CHECK(!crcs.empty() && to.size() == crcs.size() * kBlockBytes);
  if (!geometry_.is_data_run(first.v, crcs.size())) return Errno(EUCLEAN);
  SCALEFS_TRY_VOID(device_.read(first, to));
  for (size_t i = 0; i < crcs.size(); ++i) {
    if (crc32c(to.data() + i * kBlockBytes, kBlockBytes) == crcs[i]) continue;
    if (canary(Canary::read_checksum_ignored)) continue;
    corruptions_.add(1);
    return Errno(EUCLEAN);
  }
  return {};
}

// --- data and committer

Status DiskFsImpl::write_data(BlockNo first, ConstBytes from) {
  SCALEFS_CHECK(geometry_.is_data_run(first.v, from.size() / kBlockBytes));
  if (!writable()) return Errno(EROFS);
  return device_.write(first, from);
}

Result<Ino> DiskFsImpl::allocate_ino() {
  if (!writable()) return Errno(EROFS);
  return inos_.allocate([this] { return pin(); });
}

bool DiskFsImpl::has_room(uint64_t blocks) const {
  MutexLock lock(state_mutex_);
  return end_.position + blocks - released_ <= area_.blocks;
}

Status DiskFsImpl::wait_for_room(uint64_t blocks) {
  while (!has_room(blocks)) {
    MutexLock lock(checkpoint_mutex_);
    // The checkpoint that just ended may have made the room.
    if (has_room(blocks)) break;
    // The first one covers what is pending, the second one releases that: a batch takes a quarter
    // of the journal at the most, so that each round but the last releases something.
    SCALEFS_TRY_VOID(checkpoint_once());
  }
  return {};
}

Result<uint64_t> DiskFsImpl::commit(Batch batch) {
  if (!writable()) return Errno(EROFS);
  if (batch.empty()) return committed_seq();
  SCALEFS_CHECK(batch.size_bytes() <= batch_bytes_max());
  SCALEFS_TRY_VOID(wait_for_room(batch_blocks(batch.size_bytes())));
  const uint32_t op_count = batch.op_count();
  BatchBytes bytes = batch.take_bytes();

  // Pairs with make_durable.
  const Status written = writer_->append(bytes, op_count, durable_generation_.load(acquire));
  if (!written.ok()) return fail("writing to the journal", written.error());
  const Status flushed = canary(Canary::journal_flush_left_out) ? Status() : flush();
  if (!flushed.ok()) return fail("flushing the journal", flushed.error());
  writer_->note_flushed();

  auto committed = std::make_shared<CommittedBatch>(std::move(bytes), writer_->point());
  const uint64_t sequence = committed->sequence();
  batches_.add(1);
  batch_bytes_.add(committed->payload().size());
  {
    MutexLock lock(state_mutex_);
    end_ = committed->end();
    pending_.push(std::move(committed));
    note_inodes();
  }
  committed_seq_.store(sequence, release);  // pairs with committed_seq()
  return sequence;
}

// --- figures

double DiskFsImpl::journal_fill() const {
  MutexLock lock(state_mutex_);
  return static_cast<double>(end_.position - covered_) / static_cast<double>(area_.blocks);
}

uint64_t DiskFsImpl::checkpoint_blocks_bound(const PendingWork& more) const {
  MutexLock lock(state_mutex_);
  PendingWork work = pending_.work();
  work += more;
  return diskfs::checkpoint_blocks_bound(work, tree_height_, tree_nodes_);
}

uint64_t DiskFsImpl::inodes_bound() const {
  return inodes_bound_.load(acquire);  // pairs with note_inodes
}

DiskFs::Statistics DiskFsImpl::statistics() const {
  Statistics s;
  s.batches = batches_.get();
  s.batch_bytes = batch_bytes_.get();
  s.flushes = flushes_.get();
  s.checkpoints = checkpoints_.get();
  s.checkpoints_without_room = checkpoints_without_room_.get();
  s.checkpoint_blocks = checkpoint_blocks_.get();
  s.nodes_read = store_.nodes_read();
  s.corruptions = corruptions_.get() + store_.corruptions();
  return s;
}

}  // namespace scalefs::diskfs
