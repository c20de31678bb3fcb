// The block device under a volume: whole blocks of kBlockBytes, numbered from 0. Implementations: image file
// or block device (file_device.h), memory, recording, fault injection, and a copy-on-write memory
// overlay over a read-only base (used by read-only mounts and by fsck -n).
//
// Thread safety: every call may run concurrently with every other; overlapping concurrent writes
// leave either content, block by block. A completed write is visible to later reads at once and
// durable after a flush() that began after the write returned. A failed write leaves its blocks in
// an unknown state. Errors: EIO, ENOSPC (sparse image, host full), EROFS, EINVAL (out of range).
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"

namespace scalefs::diskfs {

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  virtual uint64_t block_count() const = 0;
  virtual bool read_only() const = 0;
  // Sizes are positive multiples of kBlockBytes and inside the device. Buffers may have any
  // alignment; block-aligned ones avoid a copy.
  virtual Status read(BlockNo first, Bytes to) = 0;
  virtual Status write(BlockNo first, ConstBytes from) = 0;
  // Durable on return: every write that had returned before the call.
  virtual Status flush() = 0;
  // The content becomes undefined; a hint that may do nothing.
  virtual Status discard(BlockNo first, uint64_t count) = 0;
  // The blocks read as zeros afterwards and are allocated on the host.
  virtual Status write_zeroes(BlockNo first, uint64_t count) = 0;
};

}  // namespace scalefs::diskfs
