// Op codes and limits of the encoded batch (FORMAT.md, "Operations of a batch").
#pragma once

#include <string_view>

#include "base/core.h"
#include "base/units.h"
#include "diskfs/items.h"  // kFilePagesMax

namespace scalefs::diskfs {

enum class BatchOp : uint8_t {
  put_inode = 1,
  delete_inode = 2,
  put_dirent = 3,
  del_dirent = 4,
  put_extent = 5,
  put_unwritten = 6,
  put_inline = 7,
  punch = 8,
  put_xattr = 9,
  del_xattr = 10,
  put_orphan = 11,
  del_orphan = 12,
  set_mnode_mark = 13,
};

// Number of mask bits of put_inode: nlink, flags, uid, gid, generation, rdev, size, btime, mtime,
// atime, ctime, parent mnode, parent ino, from bit 0 on.
inline constexpr size_t kInodeFieldCount = 13;

inline constexpr uint64_t kInoMax = (uint64_t{1} << 48) - 1;
inline constexpr uint64_t kVolumeBlocksMax = kVolumeBytesMax / kBlockBytes;
inline constexpr uint8_t kDirentTypeMax = 15;
inline constexpr uint32_t kMnodeSlotsMax = kCoresMax;
inline constexpr uint64_t kMnodeCounterMax = kMnodeNoLimit >> kCoreBits;

// 1 to 255 bytes without '/' and NUL, and neither "." nor "..".
bool valid_dirent_name(std::string_view name);
// 1 to 255 bytes without NUL.
bool valid_xattr_name(std::string_view name);

}  // namespace scalefs::diskfs
