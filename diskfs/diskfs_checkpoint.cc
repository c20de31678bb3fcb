// The checkpointer's half of DiskFsImpl: when one runs, its superblock, and what becomes free when
// that is durable.
#include <algorithm>
#include <new>

#include "base/canary.h"
#include "base/log.h"
#include "diskfs/diskfs_impl.h"

namespace scalefs::diskfs {

Status DiskFsImpl::checkpoint() {
  if (read_only()) return {};
  MutexLock lock(checkpoint_mutex_);
  return checkpoint_once();
}

Status DiskFsImpl::checkpoint_once() {
  if (!writable()) return Errno(EROFS);
  CommittedBatches batches;
  try {
    MutexLock lock(state_mutex_);
    batches = pending_.snapshot();
  } catch (const std::bad_alloc&) {
    return Errno(ENOMEM);
  }
  // What is half done on the device or in memory cannot be taken back.
  try {
    return checkpoint_batches(batches);
  } catch (const std::bad_alloc&) {
    return fail("a checkpoint", Errno(ENOMEM));
  }
}

Status DiskFsImpl::checkpoint_batches(const CommittedBatches& batches) {
  if (!batches.empty()) {
    const Status status = run_checkpoint(batches);
    if (status.code() != ENOSPC || !waits_for_superblock()) return status;
    // What the last checkpoint made free may be enough.
    SCALEFS_TRY_VOID(renew_superblock(sb_.state));
    return run_checkpoint(batches);
  }
  if (waits_for_superblock()) return renew_superblock(sb_.state);
  release_frees();
  return {};
}

Status DiskFsImpl::run_checkpoint(const CommittedBatches& batches) {
  const JournalPoint& end = batches.back()->end();
  Superblock next = sb_;
  next.generation += 1;
  next.mount_epoch = info_.mount_epoch;
  next.state &= ~kStateClean;
  CheckpointBuild build(device_, store_, allocator_, *map_);
  auto built = build.run(sb_.root, batches, next.generation);
  if (built.code() == ENOSPC) {
    checkpoints_without_room_.add(1);
    return Errno(ENOSPC);
  }
  if (built.code() == ENOMEM) return built.error();
  if (!built.ok()) return fail("building a checkpoint", built.error());
  CheckpointOutcome& outcome = *built;
  next.root = outcome.root;
  next.table = outcome.table;
  next.covered_seq = batches.back()->sequence();
  next.covered_crc = end.previous_crc;
  next.journal_scan = end.position % area_.blocks;
  if (!outcome.put_inodes.empty()) {
    next.next_ino = std::max(next.next_ino, outcome.put_inodes.back().v + 1);
  }
  next.inode_count += outcome.inodes_created - outcome.inodes_deleted;
  next.free_ino_count += outcome.inodes_deleted - outcome.inos_reused;
  next.free_blocks = map_->free_blocks();
  SCALEFS_TRY_VOID(make_durable(next));
  map_->committed();
  checkpoints_.add(1);
  checkpoint_blocks_.add(outcome.blocks_written);
  publish(end.position, std::move(outcome));
  return {};
}

Status DiskFsImpl::make_durable(const Superblock& next) {
  Status status = canary(Canary::checkpoint_flush_left_out) ? Status() : flush();
  // A commit that failed meanwhile may have left anything behind the last batch: let nothing more
  // be written.
  if (failed()) return Errno(EROFS);
  if (status.ok()) status = write_superblock(device_, next);
  if (status.ok()) status = flush();
  if (!status.ok()) return fail("writing the superblock", status.error());
  checkpoint_blocks_.add(superblock_targets(next.generation, geometry_.block_count).size());
  sb_ = next;
  durable_generation_.store(next.generation, release);  // pairs with commit
  return {};
}

// The order matters: a batch leaves the log, and checkpointed_seq is raised, only when new pins read
// the tree that has it.
void DiskFsImpl::publish(uint64_t covered_position, CheckpointOutcome outcome) {
  auto state = std::make_shared<CheckpointPin::State>(store_, sb_, pin_ends_);
  inos_.settle(sb_.covered_seq, outcome.put_inodes, [&] {
    SpinLock lock(current_lock_);
    current_.swap(state);
  });
  old_states_.push_back({state->generation, state});
  state.reset();
  checkpointed_seq_.store(sb_.covered_seq, release);  // pairs with checkpointed_seq()
  // Before the batches leave the log: a bound that misses them knows the tree that has them.
  measure_tree();
  {
    MutexLock lock(state_mutex_);
    pending_.drop_through(sb_.covered_seq);
    note_inodes();
    released_ = covered_;
    covered_ = covered_position;
  }
  if (!outcome.freed.empty()) frees_.push_back({sb_.generation, std::move(outcome.freed)});
  release_frees();
}

Status DiskFsImpl::renew_superblock(uint32_t state) {
  Superblock next = sb_;
  next.generation += 1;
  next.mount_epoch = info_.mount_epoch;
  next.state = state;
  SCALEFS_TRY_VOID(make_durable(next));
  {
    MutexLock lock(state_mutex_);
    released_ = covered_;
  }
  release_frees();
  return {};
}

// Whether a superblock without news would release something: journal or blocks that the one in
// force is the first not to need.
bool DiskFsImpl::waits_for_superblock() const {
  for (const Frees& frees : frees_) {
    if (frees.generation == sb_.generation) return true;
  }
  MutexLock lock(state_mutex_);
  return released_ != covered_;
}

// The checkpoint before the one in force, and every tree that a pin reads, stay whole.
void DiskFsImpl::release_frees() {
  std::erase_if(old_states_, [](const OldState& old) { return old.state.expired(); });
  uint64_t oldest_read = UINT64_MAX;
  for (const OldState& old : old_states_) oldest_read = std::min(oldest_read, old.generation);
  std::erase_if(frees_, [&](const Frees& frees) NO_THREAD_SAFETY_ANALYSIS {
    if (frees.generation == sb_.generation || oldest_read < frees.generation) return false;
    for (const BlockRun& run : frees.runs) {
      if (discard_) (void)device_.discard(run.first, run.count);  // a hint: errors do not matter
      allocator_.free(run);
    }
    return true;
  });
}

void DiskFsImpl::wait_for_readers() {
  while (true) {
    const uint64_t seen = pin_ends_->count();
    {
      MutexLock lock(checkpoint_mutex_);
      release_frees();
      const bool held = std::any_of(frees_.begin(), frees_.end(),
                                    [&](const Frees& frees) NO_THREAD_SAFETY_ANALYSIS {
                                      return frees.generation != sb_.generation;
                                    });
      if (!held) return;
    }
    pin_ends_->wait_beyond(seen);
  }
}

void DiskFsImpl::measure_tree() {
  const TreeRoot& root = sb_.root;
  const uint64_t used = geometry_.data_blocks() - map_->free_blocks();
  // Damage is told by whoever needs the node; here it costs the better bound.
  uint64_t nodes = used;
  if (root.height > 0) {
    const auto node = store_.read({root.block, root.generation, root.crc}, root.height - 1, {});
    if (node.ok()) nodes = tree_nodes_bound(root.height, (*node)->view().count(), used);
  }
  MutexLock lock(state_mutex_);
  tree_height_ = root.height;
  tree_nodes_ = nodes;
  inodes_ = sb_.inode_count;
  note_inodes();
}

Status DiskFsImpl::unmount() {
  if (read_only()) return {};
  MutexLock lock(checkpoint_mutex_);
  if (closed_.load(acquire)) return {};  // with the store below
  SCALEFS_TRY_VOID(checkpoint_once());
  try {
    SCALEFS_TRY_VOID(renew_superblock(sb_.state | kStateClean));
  } catch (const std::bad_alloc&) {
    return fail("the last superblock", Errno(ENOMEM));
  }
  closed_.store(true, release);  // pairs with writable
  return {};
}

}  // namespace scalefs::diskfs
