// Where a repair may write: blocks of the data area that neither the state before it references nor
// the one that it builds. Also tells nodes from data, so that no file's mapping of a node survives.
// Memory: four bits a block. Not thread-safe.
#pragma once

#include <vector>

#include "diskfs/block_device.h"
#include "diskfs/geometry.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

class SpaceMap;

class RepairSpace {
 public:
  // Both must outlive the object.
  RepairSpace(BlockDevice& device, const Geometry& geometry);

  // Blocks that are never written: what the state before the repair references. Parts outside the
  // data area are passed over.
  void keep(BlockRun run);
  // The same for a tree node.
  void keep_node(BlockNo block);
  // Blocks that the maps before the repair call used: taken only when nothing else is left.
  void avoid(const SpaceMap& map);

  bool is_node(uint64_t block) const { return get(nodes_, block); }

  // A run of 1..want blocks; ENOSPC.
  Result<BlockRun> allocate(uint64_t want);
  // After a write_out: its nodes are in use, and those it replaced are free if they were
  // allocated here.
  void settle(const TreeWriter::WriteOut& out);

  TreeWriter::Allocate allocator();
  TreeWriter::Write writer();
  uint64_t blocks_written() const { return blocks_written_; }

 private:
  using Bits = std::vector<uint64_t>;
  static bool get(const Bits& bits, uint64_t block) {
    return (bits[block / 64] >> (block % 64) & 1) != 0;
  }
  static void set(Bits& bits, uint64_t block) { bits[block / 64] |= uint64_t{1} << (block % 64); }
  static void reset(Bits& bits, uint64_t block) {
    bits[block / 64] &= ~(uint64_t{1} << (block % 64));
  }
  bool is_free(uint64_t block) const {
    return !get(kept_, block) && !get(taken_, block) && (desperate_ || !get(avoided_, block));
  }
  Result<BlockRun> take_from(uint64_t first, uint64_t want);

  BlockDevice& device_;
  const Geometry& geometry_;
  Bits kept_, avoided_, taken_, nodes_;
  uint64_t cursor_;
  bool desperate_ = false;  // avoided blocks are taken too
  uint64_t blocks_written_ = 0;
};

}  // namespace scalefs::diskfs
