// Which mapping a block belongs to when several name it. Memory: a bit a block, and the claims to
// blocks that are named more than once. Not thread-safe.
#pragma once

#include <vector>

#include "diskfs/check/repair_space.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

struct RepairEdits;
struct RepairLog;

class RepairClaims {
 public:
  // All must outlive the object.
  RepairClaims(const Geometry& geometry, BlockDevice& device, const RepairSpace& space);

  // An extent whose blocks are in the data area.
  void reference(const Mapping& mapping);
  // After all of them: edits that take contested pages from the losers.
  Status settle(TreeWriter& tree, RepairEdits& edits, RepairLog& log);

 private:
  struct Owner {
    uint64_t ino = 0;
    uint64_t page = 0;
    bool by_checksum = false;
  };
  struct Contested {
    uint64_t block = 0;
    bool node = false;
    Owner owner;
  };
  Contested* contested(uint64_t block);
  void choose(uint64_t ino, const Mapping& mapping);
  void cut(uint64_t ino, const Mapping& mapping, RepairEdits& edits, RepairLog& log);

  BlockDevice& device_;
  const RepairSpace& space_;
  std::vector<uint64_t> seen_;
  std::vector<Contested> contested_;  // sorted once settle began
};

}  // namespace scalefs::diskfs
