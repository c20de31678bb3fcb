// scalefs-image without its command line: copies the metadata of a volume, without what users would not want to
// show, so that it can be sent with a report. FORMAT.md, "Metadata images", says what stands in the copy.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "diskfs/block_device.h"
#include "diskfs/superblock.h"

namespace scalefs::tools {

// Exit codes.
inline constexpr int kImageDone = 0;
inline constexpr int kImageDamaged = 4;      // made; damaged parts of the volume are left out of it
inline constexpr int kImageOperational = 8;  // not made: not a volume, locked, cannot be read or written
inline constexpr int kImageUsage = 16;

struct ImageOptions {
  std::string source, dest;
  uint64_t lock_wait_ms = 10'000;
};

struct ImageReport {
  uint64_t nodes = 0;    // of trees
  uint64_t batches = 0;  // of the journal
  uint64_t blocks = 0;   // written
  uint64_t damaged = 0;  // nodes, maps, tables and superblock copies that are left out
};

// The copy to `dest`, which must read as zeros and be as large as the volume. The key of hashes in it is `key`.
// Never writes to `source`, which nobody else may write to. `*why` is a sentence for the operator. Errors: as
// check_volume, EIO, ENOSPC.
Result<ImageReport> copy_metadata(diskfs::BlockDevice& source, diskfs::BlockDevice& dest,
                                  const HashKey& key, std::string* why);

// Makes the file `dest`, which must not exist, sparse.
int run_image(const ImageOptions& options, FILE* out, FILE* err);

}  // namespace scalefs::tools
