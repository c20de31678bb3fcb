// The building of one checkpoint: batches applied to the durable tree, new nodes, inline pages and
// allocation maps written to blocks that no durable superblock names (P7). Nothing of it counts
// before the caller has flushed, made the superblock durable, and flushed again.
//
// The maps are the old ones plus what the apply function and the tree writer report; the live
// allocator only says which blocks may be taken.
//
// Not thread-safe: one checkpointer. Memory: the changed nodes, what batches carry inline, and 24
// bytes for each run of blocks that changes hands.
#pragma once

#include <vector>

#include "diskfs/allocator.h"
#include "diskfs/apply.h"
#include "diskfs/pending_log.h"
#include "diskfs/space_map.h"

namespace scalefs::diskfs {

struct CheckpointOutcome {
  TreeRoot root;
  TableRef table;
  std::vector<BlockRun> freed;  // in use before or named by a batch, and free by the new maps
  uint64_t blocks_written = 0;  // nodes, inline pages and maps
  uint64_t inodes_created = 0;
  uint64_t inodes_deleted = 0;
  uint64_t inos_reused = 0;  // of those created
  std::vector<Ino> put_inodes;  // numbers that the batches gave attributes to, sorted
};

class CheckpointBuild final : private SpaceSink {
 public:
  // All must outlive the object.
  CheckpointBuild(BlockDevice& device, NodeStore& store, Allocator& allocator, SpaceMap& map)
      : device_(device), store_(store), allocator_(allocator), map_(map) {}

  // To be called once. On ENOSPC every block that was taken is given back and the map is untouched:
  // a new build may try again. After any other error the map must not be used any more.
  Result<CheckpointOutcome> run(const TreeRoot& root, const CommittedBatches& batches,
                                uint64_t generation);

 private:
  struct Change {
    BlockRun run;
    bool used = false;
  };
  Status referenced(BlockRun run) override;
  Status unreferenced(BlockRun run) override;

  Result<BlockRun> allocate(uint64_t want);
  Status write(BlockNo first, ConstBytes from);
  Status build_tree(const TreeRoot& root, const CommittedBatches& batches, uint64_t generation);
  Status change_map();
  void collect_freed();

  BlockDevice& device_;
  NodeStore& store_;
  Allocator& allocator_;
  SpaceMap& map_;
  std::vector<Change> changes_;      // in the order in which they were reported
  std::vector<BlockRun> allocated_;  // by this build
  bool full_ = false;                // the allocator had no block left
  CheckpointOutcome result_;
};

}  // namespace scalefs::diskfs
