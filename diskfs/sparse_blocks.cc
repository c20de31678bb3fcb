#include "diskfs/sparse_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace scalefs::diskfs {

bool SparseBlocks::read_chunk(uint64_t first, Bytes to, uint64_t* missing) const {
  uint64_t count = to.size() / kBlockBytes;
  uint64_t start = first % kChunkBlocks;
  SCALEFS_CHECK(count > 0 && start + count <= kChunkBlocks);
  const Shard& shard = shard_of(first / kChunkBlocks);
  uint64_t wanted = (uint64_t{1} << count) - 1;
  MutexLock lock(shard.mutex);
  auto found = shard.chunks.find(first / kChunkBlocks);
  uint64_t present = found == shard.chunks.end() ? 0 : (found->second->present >> start) & wanted;
  for (uint64_t i = 0; i < count; ++i) {
    if ((present >> i & 1) == 0) continue;
    std::memcpy(to.data() + i * kBlockBytes,
                found->second->bytes.data() + (start + i) * kBlockBytes, kBlockBytes);
  }
  *missing = wanted & ~present;
  return *missing == 0;
}

void SparseBlocks::write(uint64_t first, ConstBytes from) {
  uint64_t count = from.size() / kBlockBytes;
  for (uint64_t done = 0; done < count;) {
    uint64_t chunk_no = (first + done) / kChunkBlocks;
    uint64_t start = (first + done) % kChunkBlocks;
    uint64_t part = std::min(count - done, kChunkBlocks - start);
    Shard& shard = shard_of(chunk_no);
    MutexLock lock(shard.mutex);
    std::unique_ptr<Chunk>& chunk = shard.chunks[chunk_no];
    if (!chunk) chunk.reset(new Chunk);
    std::memcpy(chunk->bytes.data() + start * kBlockBytes, from.data() + done * kBlockBytes,
                part * kBlockBytes);
    chunk->present |= ((uint64_t{1} << part) - 1) << start;
    done += part;
  }
}

void SparseBlocks::erase(uint64_t first, uint64_t count) {
  if (count == 0) return;
  uint64_t last = first + count - 1;
  auto clear_bits = [&](uint64_t number, Chunk& chunk) {
    uint64_t low = number * kChunkBlocks;
    for (uint64_t i = 0; i < kChunkBlocks; ++i) {
      if (low + i >= first && low + i <= last) chunk.present &= ~(uint64_t{1} << i);
    }
    return chunk.present == 0;
  };
  if (count <= kChunkBlocks * kShards) {
    for (uint64_t number = first / kChunkBlocks; number <= last / kChunkBlocks; ++number) {
      Shard& shard = shard_of(number);
      MutexLock lock(shard.mutex);
      auto found = shard.chunks.find(number);
      if (found != shard.chunks.end() && clear_bits(number, *found->second)) {
        shard.chunks.erase(found);
      }
    }
    return;
  }
  // A range larger than what is stored is walked by chunks stored, not by chunks named.
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (auto it = shard.chunks.begin(); it != shard.chunks.end();) {
      it = clear_bits(it->first, *it->second) ? shard.chunks.erase(it) : std::next(it);
    }
  }
}

void SparseBlocks::copy_to(SparseBlocks& other) const {
  for (size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mutex);
    for (const auto& [number, chunk] : shards_[i].chunks) {
      for (uint64_t b = 0; b < kChunkBlocks; ++b) {
        if ((chunk->present >> b & 1) == 0) continue;
        other.write(number * kChunkBlocks + b,
                    ConstBytes(chunk->bytes.data() + b * kBlockBytes, kBlockBytes));
      }
    }
  }
}

uint64_t SparseBlocks::block_count() const {
  uint64_t count = 0;
  for (const Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (const auto& [number, chunk] : shard.chunks) count += std::popcount(chunk->present);
  }
  return count;
}

}  // namespace scalefs::diskfs
