// A copy-on-write view of another device: writes stay in memory, the base is only read. Read-only
// mounts and fsck -n recover over one. Discarded with all it holds when it is destroyed.
#pragma once

#include "diskfs/block_device.h"
#include "diskfs/sparse_blocks.h"

namespace scalefs::diskfs {

class OverlayDevice : public BlockDevice {
 public:
  // `base` must outlive the overlay, and nobody may write to it meanwhile.
  explicit OverlayDevice(BlockDevice& base) : base_(base) {}

  uint64_t block_count() const override { return base_.block_count(); }
  bool read_only() const override { return false; }
  Status read(BlockNo first, Bytes to) override;
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override { return {}; }
  // Does nothing: the old content is as undefined as any.
  Status discard(BlockNo first, uint64_t count) override;
  Status write_zeroes(BlockNo first, uint64_t count) override;

  // Blocks that differ from the base (or were written with what it holds).
  uint64_t blocks_stored() const { return blocks_.block_count(); }

 private:
  BlockDevice& base_;
  SparseBlocks blocks_;
};

}  // namespace scalefs::diskfs
