// Which blocks the tree references, for comparison with the allocation maps. Memory: a bit a block.
// Not thread-safe.
#pragma once

#include <vector>

#include "diskfs/check/finding.h"
#include "diskfs/geometry.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

class SpaceMap;

class BlockRefs {
 public:
  BlockRefs(const Geometry& geometry, Findings& findings);

  // `what` says who references the run: "node", "inode 17, page 4".
  void reference(BlockRun run, const std::string& what);
  bool is_referenced(uint64_t block) const { return (words_[block / 64] >> (block % 64) & 1) != 0; }
  uint64_t count() const { return count_; }

  // Blocks that are referenced and free, and when the references are complete those that are used
  // and not referenced. Groups of `unknown` are left out.
  void compare(const SpaceMap& map, const std::vector<uint64_t>& unknown, bool complete);

 private:
  const Geometry& geometry_;
  Findings& findings_;
  std::vector<uint64_t> words_;
  uint64_t count_ = 0;
};

}  // namespace scalefs::diskfs
