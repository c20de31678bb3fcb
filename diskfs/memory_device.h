// A block device in memory, sparse: blocks never written read as zeros and cost nothing. Everything
// written is "durable" at once; what a power cut leaves is modelled by recording_device.h.
#pragma once

#include <memory>

#include "base/atomic.h"
#include "diskfs/block_device.h"
#include "diskfs/sparse_blocks.h"

namespace scalefs::diskfs {

class MemoryDevice : public BlockDevice {
 public:
  explicit MemoryDevice(uint64_t block_count) : block_count_(block_count) {}

  uint64_t block_count() const override { return block_count_; }
  bool read_only() const override { return read_only_.load(relaxed); }
  Status read(BlockNo first, Bytes to) override;
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override { return {}; }
  Status discard(BlockNo first, uint64_t count) override;
  Status write_zeroes(BlockNo first, uint64_t count) override;

  // A configuration that guards nothing: relaxed accesses suffice.
  void set_read_only(bool on) { read_only_.store(on, relaxed); }
  // A second device with the same content.
  std::unique_ptr<MemoryDevice> clone() const;
  // Blocks that hold memory.
  uint64_t blocks_stored() const { return blocks_.block_count(); }

 private:
  uint64_t block_count_;
  Atomic<bool> read_only_{false};
  SparseBlocks blocks_;
};

}  // namespace scalefs::diskfs
