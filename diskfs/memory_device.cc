#include "diskfs/memory_device.h"

#include <algorithm>
#include <cstring>

#include "diskfs/device_range.h"

namespace scalefs::diskfs {

Status MemoryDevice::read(BlockNo first, Bytes to) {
  SCALEFS_TRY_VOID(check_range(block_count_, first, to.size()));
  uint64_t count = to.size() / kBlockBytes;
  for (uint64_t done = 0; done < count;) {
    uint64_t at = first.v + done;
    uint64_t part =
        std::min(count - done, SparseBlocks::kChunkBlocks - at % SparseBlocks::kChunkBlocks);
    Bytes piece = to.subspan(done * kBlockBytes, part * kBlockBytes);
    uint64_t missing = 0;
    blocks_.read_chunk(at, piece, &missing);
    for (uint64_t i = 0; i < part; ++i) {
      if (missing >> i & 1) std::memset(piece.data() + i * kBlockBytes, 0, kBlockBytes);
    }
    done += part;
  }
  return {};
}

Status MemoryDevice::write(BlockNo first, ConstBytes from) {
  SCALEFS_TRY_VOID(check_range(block_count_, first, from.size()));
  if (read_only()) return Errno(EROFS);
  blocks_.write(first.v, from);
  return {};
}

Status MemoryDevice::discard(BlockNo first, uint64_t count) { return write_zeroes(first, count); }

Status MemoryDevice::write_zeroes(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(check_blocks(block_count_, first, count));
  if (read_only()) return Errno(EROFS);
  blocks_.erase(first.v, count);
  return {};
}

std::unique_ptr<MemoryDevice> MemoryDevice::clone() const {
  auto copy = std::make_unique<MemoryDevice>(block_count_);
  blocks_.copy_to(copy->blocks_);
  return copy;
}

}  // namespace scalefs::diskfs
