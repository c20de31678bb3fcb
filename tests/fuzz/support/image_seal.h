// Sets right what makes bytes of an image pass for what was written: magic numbers, own addresses
// and checksums, from the leaves of the trees up to the superblocks. What the bytes say stays as it is.
#pragma once

#include "diskfs/block_device.h"
#include "diskfs/superblock.h"

namespace scalefs::fuzz {

struct SealOptions {
  // Batches name the checksum of the batch before as theirs, though that changed.
  bool chain = true;
  // The counts of free blocks in the table and the superblocks are those of the maps.
  bool count = true;
};

// `base`: the superblock of the image before it was changed, for geometry, key and UUID.
void seal_image(diskfs::BlockDevice& device, const diskfs::Superblock& base,
                const SealOptions& options);

}  // namespace scalefs::fuzz
