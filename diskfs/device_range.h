// The argument check that every BlockDevice makes before it touches anything.
#pragma once

#include "diskfs/block_device.h"

namespace scalefs::diskfs {

// EINVAL unless [first, first + bytes / kBlockBytes) is a non-empty run of whole blocks inside a
// device of `block_count` blocks.
inline Status check_range(uint64_t block_count, BlockNo first, uint64_t bytes) {
  if (bytes == 0 || bytes % kBlockBytes != 0) return Errno(EINVAL);
  uint64_t count = bytes / kBlockBytes;
  if (first.v >= block_count || count > block_count - first.v) return Errno(EINVAL);
  return {};
}

// The same for a count of blocks.
inline Status check_blocks(uint64_t block_count, BlockNo first, uint64_t count) {
  if (count == 0 || first.v >= block_count || count > block_count - first.v) return Errno(EINVAL);
  return {};
}

}  // namespace scalefs::diskfs
