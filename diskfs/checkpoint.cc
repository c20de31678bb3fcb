#include "diskfs/checkpoint.h"

#include <algorithm>
#include <new>

#include "base/core.h"

namespace scalefs::diskfs {

Status CheckpointBuild::referenced(BlockRun run) {
  if (!map_.geometry().is_data_run(run.first.v, run.count)) return Errno(EUCLEAN);
  changes_.push_back({run, true});
  return {};
}

Status CheckpointBuild::unreferenced(BlockRun run) {
  if (!map_.geometry().is_data_run(run.first.v, run.count)) return Errno(EUCLEAN);
  changes_.push_back({run, false});
  return {};
}

Result<BlockRun> CheckpointBuild::allocate(uint64_t want) {
  allocated_.reserve(allocated_.size() + 1);
  const auto run = allocator_.allocate(current_core(), want);
  if (run.ok()) {
    allocated_.push_back(*run);
  } else {
    full_ = true;
  }
  return run;
}

Status CheckpointBuild::write(BlockNo first, ConstBytes from) {
  result_.blocks_written += from.size() / kBlockBytes;
  return device_.write(first, from);
}

Status CheckpointBuild::build_tree(const TreeRoot& root, const CommittedBatches& batches,
                                   uint64_t generation) {
  const TreeWriter::Allocate allocate_run = [this](uint64_t want) { return allocate(want); };
  const TreeWriter::Write write_run = [this](BlockNo first, ConstBytes from) {
    return write(first, from);
  };
  TreeWriter tree(store_, root);
  ApplyVisitor apply(tree, *this, {allocate_run, write_run});
  for (const auto& batch : batches) SCALEFS_TRY_VOID(visit_batch(batch->payload(), apply));
  SCALEFS_TRY_VOID(apply.finish());
  SCALEFS_TRY(const auto out, tree.write_out(allocate_run, write_run, generation));
  for (const BlockRun& run : out.used) SCALEFS_TRY_VOID(referenced(run));
  for (const BlockRun& run : out.replaced) SCALEFS_TRY_VOID(unreferenced(run));
  result_.root = out.root;
  result_.put_inodes = apply.take_put_inodes();
  result_.inodes_created = apply.statistics().inodes_created;
  result_.inodes_deleted = apply.statistics().inodes_deleted;
  result_.inos_reused = apply.statistics().inos_reused;
  return {};
}

// In the order of the reports, each of which must change something: a block that is referenced twice,
// or freed without having been in use, means that two things claim it.
Status CheckpointBuild::change_map() {
  for (const Change& change : changes_) {
    SCALEFS_TRY_VOID(change.used ? map_.set(change.run) : map_.clear(change.run));
  }
  return {};
}

void CheckpointBuild::collect_freed() {
  std::vector<uint64_t> blocks;
  for (const Change& change : changes_) {
    if (change.used) continue;
    for (uint64_t i = 0; i < change.run.count; ++i) {
      const uint64_t block = change.run.first.v + i;
      if (!map_.test(BlockNo(block))) blocks.push_back(block);
    }
  }
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  for (const uint64_t block : blocks) {
    if (!result_.freed.empty()) {
      BlockRun& last = result_.freed.back();
      if (last.first.v + last.count == block) {
        ++last.count;
        continue;
      }
    }
    result_.freed.push_back({BlockNo(block), 1});
  }
}

namespace {

// A host without room for a sparse image is an I/O error to us, and so is one without memory; ENOSPC means that the volume
// is full, ENOMEM that we have no memory.
template <class T>
Errno failure(const Result<T>& result) {
  return result.code() == ENOSPC || result.code() == ENOMEM ? Errno(EIO) : result.error();
}

}  // namespace

Result<CheckpointOutcome> CheckpointBuild::run(const TreeRoot& root,
                                               const CommittedBatches& batches,
                                               uint64_t generation) {
  // Up to here nothing has changed that the next attempt would miss.
  const auto give_back = [&](int code) {
    for (const BlockRun& run : allocated_) allocator_.free(run);
    return Errno(code);
  };
  Status built;
  try {
    built = build_tree(root, batches, generation);
  } catch (const std::bad_alloc&) {
    return give_back(ENOMEM);
  }
  if (!built.ok()) return full_ ? give_back(ENOSPC) : failure(built);
  SCALEFS_TRY_VOID(change_map());
  collect_freed();
  result_.blocks_written += map_.write_blocks_bound();
  const auto table = map_.write(device_, generation);
  if (!table.ok()) return failure(table);
  result_.table = *table;
  std::vector<Ino>& inodes = result_.put_inodes;
  std::sort(inodes.begin(), inodes.end());
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  return std::move(result_);
}

}  // namespace scalefs::diskfs
