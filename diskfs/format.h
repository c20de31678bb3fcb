// mkfs as a library: makes an empty volume on a device. What stood on the device is lost. Asking
// whether that may be is the caller's business (tools/mkfs.h).
//
// A crash in the middle leaves a device without a superblock: the old ones are wiped first, the new
// ones are written last, with flushes between.
#pragma once

#include <optional>
#include <string>

#include "base/hash.h"
#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/geometry.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

struct FormatOptions {
  std::string label;                // at most kLabelBytesMax bytes
  std::optional<Uuid> uuid;         // a random one (version 4) when left out
  std::optional<HashKey> hash_key;  // random when left out; fix it only for images that must repeat
  std::optional<int64_t> time_ns;   // of creation and of the root directory; now when left out
  GeometryChoice geometry;
  bool discard = true;       // tells the host that the old content is not needed
  bool preallocate = false;  // has the host allocate every block now
  bool dry_run = false;      // writes nothing
};

struct FormatSummary {
  Uuid uuid = {};
  std::string label;
  Geometry geometry;
  uint64_t free_blocks = 0;
};

// Formats the whole device and makes it durable. The root directory is inode 1, mnode 1, mode 0755,
// owned by user 0 and group 0. On error `*why` is a sentence for the operator. Errors: EINVAL (size
// or label), EROFS, EIO, ENOSPC (host full).
Result<FormatSummary> format(BlockDevice& device, const FormatOptions& options, std::string* why);

// A random UUID (RFC 4122, version 4).
Uuid random_uuid();

}  // namespace scalefs::diskfs
