#include "diskfs/check/repair_space.h"

#include "diskfs/space_map.h"

namespace scalefs::diskfs {

RepairSpace::RepairSpace(BlockDevice& device, const Geometry& geometry)
    : device_(device), geometry_(geometry), cursor_(geometry.data_first) {
  const size_t words = (geometry.block_count + 63) / 64;
  for (Bits* bits : {&kept_, &avoided_, &taken_, &nodes_}) bits->resize(words);
}

void RepairSpace::keep(BlockRun run) {
  for (uint64_t i = 0; i < run.count; ++i) {
    if (geometry_.is_data(run.first.v + i)) set(kept_, run.first.v + i);
  }
}

void RepairSpace::keep_node(BlockNo block) {
  if (!geometry_.is_data(block.v)) return;
  set(kept_, block.v);
  set(nodes_, block.v);
}

void RepairSpace::avoid(const SpaceMap& map) {
  for (uint64_t block = geometry_.data_first; block < geometry_.data_end; ++block) {
    if (map.test(BlockNo(block))) set(avoided_, block);
  }
}

Result<BlockRun> RepairSpace::take_from(uint64_t first, uint64_t want) {
  for (uint64_t block = first; block < geometry_.data_end; ++block) {
    if (!is_free(block)) continue;
    BlockRun run{BlockNo(block), 0};
    while (run.count < want && block < geometry_.data_end && is_free(block)) {
      set(taken_, block++);
      ++run.count;
    }
    cursor_ = block;
    return run;
  }
  return Errno(ENOSPC);
}

Result<BlockRun> RepairSpace::allocate(uint64_t want) {
  auto run = take_from(cursor_, want);
  if (!run.ok()) run = take_from(geometry_.data_first, want);
  if (run.ok() || desperate_) return run;
  desperate_ = true;
  return take_from(geometry_.data_first, want);
}

void RepairSpace::settle(const TreeWriter::WriteOut& out) {
  for (const BlockRun& run : out.used) {
    for (uint64_t i = 0; i < run.count; ++i) set(nodes_, run.first.v + i);
  }
  for (const BlockRun& run : out.replaced) {
    for (uint64_t i = 0; i < run.count; ++i) {
      const uint64_t block = run.first.v + i;
      if (!geometry_.is_data(block) || get(kept_, block)) continue;
      reset(taken_, block);
      reset(nodes_, block);
    }
  }
}

TreeWriter::Allocate RepairSpace::allocator() {
  return [this](uint64_t want) { return allocate(want); };
}

TreeWriter::Write RepairSpace::writer() {
  return [this](BlockNo first, ConstBytes from) {
    blocks_written_ += from.size() / kBlockBytes;
    return device_.write(first, from);
  };
}

}  // namespace scalefs::diskfs
