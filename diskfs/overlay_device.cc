#include "diskfs/overlay_device.h"

#include <algorithm>
#include <bit>

#include "base/aligned_buffer.h"
#include "diskfs/device_range.h"

namespace scalefs::diskfs {

Status OverlayDevice::read(BlockNo first, Bytes to) {
  SCALEFS_TRY_VOID(check_range(block_count(), first, to.size()));
  uint64_t count = to.size() / kBlockBytes;
  for (uint64_t done = 0; done < count;) {
    uint64_t at = first.v + done;
    uint64_t part =
        std::min(count - done, SparseBlocks::kChunkBlocks - at % SparseBlocks::kChunkBlocks);
    Bytes piece = to.subspan(done * kBlockBytes, part * kBlockBytes);
    uint64_t missing = 0;
    blocks_.read_chunk(at, piece, &missing);
    for (uint64_t i = 0; i < part;) {
      if ((missing >> i & 1) == 0) {
        ++i;
        continue;
      }
      uint64_t run = std::countr_one(missing >> i);
      SCALEFS_TRY_VOID(
          base_.read(BlockNo(at + i), piece.subspan(i * kBlockBytes, run * kBlockBytes)));
      i += run;
    }
    done += part;
  }
  return {};
}

Status OverlayDevice::write(BlockNo first, ConstBytes from) {
  SCALEFS_TRY_VOID(check_range(block_count(), first, from.size()));
  blocks_.write(first.v, from);
  return {};
}

Status OverlayDevice::discard(BlockNo first, uint64_t count) {
  return check_blocks(block_count(), first, count);
}

Status OverlayDevice::write_zeroes(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(check_blocks(block_count(), first, count));
  AlignedBuffer zeros(SparseBlocks::kChunkBlocks * kBlockBytes);
  for (uint64_t done = 0; done < count;) {
    uint64_t part = std::min(count - done, SparseBlocks::kChunkBlocks);
    blocks_.write(first.v + done, zeros.span().subspan(0, part * kBlockBytes));
    done += part;
  }
  return {};
}

}  // namespace scalefs::diskfs
