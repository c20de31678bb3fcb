// Blocks in memory, found by number; most are absent. The store behind the memory device and the
// overlay device.
//
// Thread safety: every call may run concurrently with every other; each block is read and written
// whole. Blocks are kept in chunks of kChunkBlocks, the chunks in shards with a Mutex each, which
// is held for the copy of at most one chunk and never across a callback.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/bytes.h"
#include "base/mutex.h"
#include "base/units.h"

namespace scalefs::diskfs {

class SparseBlocks {
 public:
  SparseBlocks() = default;
  SparseBlocks(const SparseBlocks&) = delete;
  SparseBlocks& operator=(const SparseBlocks&) = delete;

  // Copies the present blocks of the range to `to`. Returns false when at least one was absent: bit
  // i of `missing` tells it of block i. `to` is whole blocks, at most kChunkBlocks and inside one
  // chunk.
  bool read_chunk(uint64_t first, Bytes to, uint64_t* missing) const;
  void write(uint64_t first, ConstBytes from);
  // The blocks are absent afterwards.
  void erase(uint64_t first, uint64_t count);
  void copy_to(SparseBlocks& other) const;
  uint64_t block_count() const;

  static constexpr uint64_t kChunkBlocks = 16;

 private:
  struct Chunk {
    uint64_t present = 0;  // one bit a block
    std::array<std::byte, kChunkBlocks * kBlockBytes> bytes;
  };
  struct Shard {
    mutable Mutex mutex;
    std::unordered_map<uint64_t, std::unique_ptr<Chunk>> chunks GUARDED_BY(mutex);
  };
  static constexpr size_t kShards = 64;
  const Shard& shard_of(uint64_t chunk) const { return shards_[chunk % kShards]; }
  Shard& shard_of(uint64_t chunk) { return shards_[chunk % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace scalefs::diskfs
