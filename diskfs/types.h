// The vocabulary of diskfs: inodes, directory entries, mappings of file pages to blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"

namespace scalefs::diskfs {

// Attributes of an inode as they stand in the tree and in a journal batch. Times are nanoseconds
// since 1970. `blocks` (mapped pages: extents, unwritten ranges, inline pages) and `entries` (names
// in a directory) are kept by the apply function alone: what a put_inode operation carries there is
// ignored. parent_* are those of a directory (".."), zero for everything else.
struct InodeItem {
  MnodeNo mnode;
  uint32_t mode = 0;   // type and permission bits, as st_mode
  uint32_t flags = 0;  // FS_IOC_GETFLAGS bits kept by us
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint32_t generation = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  uint64_t entries = 0;
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  int64_t btime_ns = 0;
  MnodeNo parent_mnode;
  Ino parent_ino;
  friend bool operator==(const InodeItem&, const InodeItem&) = default;
};

struct DirentTarget {
  Ino ino;
  MnodeNo mnode;
  uint8_t type = 0;  // DT_REG, DT_DIR, ...
  friend bool operator==(const DirentTarget&, const DirentTarget&) = default;
};

struct Dirent {
  uint64_t hash = 0;  // SipHash-2-4 of the name under the volume's key
  std::string name;
  DirentTarget target;
};

struct BlockRun {
  BlockNo first;
  uint64_t count = 0;
};

// What stands behind a run of file pages. Holes are not listed by readers: a page in no run is one.
struct Mapping {
  enum class Kind : uint8_t { extent, unwritten, inline_data };
  Kind kind = Kind::extent;
  uint64_t page = 0;  // first file page
  uint64_t count = 0;
  BlockNo block;                 // extent: block of `page`; the others follow
  std::vector<uint32_t> crcs;    // extent: CRC32C of each block
  std::vector<std::byte> bytes;  // inline_data: content of the page, zeros follow
};

struct XattrEntry {
  std::string name;
  std::vector<std::byte> value;
};

}  // namespace scalefs::diskfs
