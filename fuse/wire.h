// Structures of the kernel's FUSE protocol (linux/fuse.h) filled from MemFS' words, for the replies
// that a transport composes itself. Requests' lengths are checked by who reads them.
#pragma once

#include <linux/fuse.h>
#include <sys/stat.h>

#include "fuse/request.h"

namespace scalefs::fuse::wire {

// FUSE_STATX, of protocol 7.39: younger than the oldest header that we build against.
inline constexpr uint32_t kOpcodeStatx = 52;
struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t reserved;
};
struct Statx {
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  StatxTime atime;
  StatxTime btime;
  StatxTime ctime;
  StatxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};
static_assert(sizeof(Statx) == 256);
struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  Statx stat;
};
static_assert(sizeof(StatxOut) == 288);

struct stat to_stat(const Attr& attr);
fuse_attr to_attr(const Attr& attr);
fuse_entry_out to_entry(const Attr& attr);
StatxOut to_statx(const Attr& attr);
uint32_t open_flags(const OpenMode& mode);  // FOPEN_*

// Appends an entry to a listing that holds `used` bytes of `listing`; returns the new length, or 0
// when it does not fit. With `plus` the entry carries `attr`, or says with null that it has none.
size_t pack_entry(Bytes listing, size_t used, const memfs::DirectoryEntry& entry, bool plus,
                  const Attr* attr);

}  // namespace scalefs::fuse::wire
