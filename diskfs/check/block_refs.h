// Which blocks the tree references, for comparison with the allocation maps. Memory: a bit a block.
//
// Thread safety: reference() from any thread; the rest when no thread is in it any more.
#pragma once

#include <vector>

#include "base/atomic.h"
#include "diskfs/check/finding.h"
#include "diskfs/geometry.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

class SpaceMap;

class BlockRefs {
 public:
  explicit BlockRefs(const Geometry& geometry);

  // False when the run cannot hold data. Blocks that somebody has referenced before come to `*twice`; who
  // did, where several threads walk, is chance.
  bool reference(BlockRun run, std::vector<uint64_t>* twice);
  bool is_referenced(uint64_t block) const {
    return (words_[block / 64].load(relaxed) >> (block % 64) & 1) != 0;
  }

  // Blocks that are referenced and free, and when the references are complete those that are used
  // and not referenced. Groups of `unknown` are left out.
  void compare(const SpaceMap& map, const std::vector<uint64_t>& unknown, bool complete,
               Findings& findings);

 private:
  const Geometry& geometry_;
  // Bits are only set, and read when the threads have been joined: relaxed is enough.
  std::vector<Atomic<uint64_t>> words_;
};

// "block 17", "blocks 17 to 19".
std::string run_text(uint64_t first, uint64_t count);

}  // namespace scalefs::diskfs
