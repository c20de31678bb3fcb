#include "fuse/wire.h"

#include <linux/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>

namespace scalefs::fuse::wire {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

// Seconds rounded down, so that nanoseconds are positive before 1970 too.
struct Split {
  int64_t seconds;
  uint32_t nanoseconds;
};
Split split(int64_t ns) {
  int64_t seconds = ns / kNsPerSecond;
  int64_t rest = ns % kNsPerSecond;
  if (rest < 0) {
    rest += kNsPerSecond;
    --seconds;
  }
  return {seconds, static_cast<uint32_t>(rest)};
}

timespec to_timespec(int64_t ns) {
  const Split at = split(ns);
  return {.tv_sec = at.seconds, .tv_nsec = at.nanoseconds};
}

StatxTime to_statx_time(int64_t ns) {
  const Split at = split(ns);
  return {at.seconds, at.nanoseconds, 0};
}

}  // namespace

struct stat to_stat(const Attr& attr) {
  struct stat out = {};
  out.st_ino = attr.mnode.v;
  out.st_mode = attr.mode;
  out.st_nlink = attr.nlink;
  out.st_uid = attr.uid;
  out.st_gid = attr.gid;
  out.st_rdev = attr.rdev;
  out.st_size = static_cast<off_t>(attr.size);
  out.st_blksize = kBlockBytes;
  out.st_blocks = static_cast<blkcnt_t>(attr.blocks);
  out.st_atim = to_timespec(attr.atime_ns);
  out.st_mtim = to_timespec(attr.mtime_ns);
  out.st_ctim = to_timespec(attr.ctime_ns);
  return out;
}

fuse_attr to_attr(const Attr& attr) {
  fuse_attr out = {};
  const Split atime = split(attr.atime_ns);
  const Split mtime = split(attr.mtime_ns);
  const Split ctime = split(attr.ctime_ns);
  out.ino = attr.mnode.v;
  out.size = attr.size;
  out.blocks = attr.blocks;
  out.atime = static_cast<uint64_t>(atime.seconds);
  out.mtime = static_cast<uint64_t>(mtime.seconds);
  out.ctime = static_cast<uint64_t>(ctime.seconds);
  out.atimensec = atime.nanoseconds;
  out.mtimensec = mtime.nanoseconds;
  out.ctimensec = ctime.nanoseconds;
  out.mode = attr.mode;
  out.nlink = attr.nlink;
  out.uid = attr.uid;
  out.gid = attr.gid;
  out.rdev = static_cast<uint32_t>(attr.rdev);
  out.blksize = kBlockBytes;
  return out;
}

fuse_entry_out to_entry(const Attr& attr) {
  fuse_entry_out out = {};
  out.nodeid = attr.mnode.v;
  out.generation = attr.generation;
  out.entry_valid = kCacheSeconds;
  out.attr_valid = kCacheSeconds;
  out.attr = to_attr(attr);
  return out;
}

StatxOut to_statx(const Attr& attr) {
  StatxOut out = {};
  out.attr_valid = kCacheSeconds;
  Statx& stat = out.stat;
  stat.mask = STATX_BASIC_STATS | STATX_BTIME;
  stat.blksize = kBlockBytes;
  stat.nlink = attr.nlink;
  stat.uid = attr.uid;
  stat.gid = attr.gid;
  stat.mode = static_cast<uint16_t>(attr.mode);
  stat.ino = attr.mnode.v;
  stat.size = attr.size;
  stat.blocks = attr.blocks;
  stat.atime = to_statx_time(attr.atime_ns);
  stat.btime = to_statx_time(attr.btime_ns);
  stat.ctime = to_statx_time(attr.ctime_ns);
  stat.mtime = to_statx_time(attr.mtime_ns);
  stat.rdev_major = major(attr.rdev);
  stat.rdev_minor = minor(attr.rdev);
  return out;
}

uint32_t open_flags(const OpenMode& mode) {
  return (mode.keep_cache ? FOPEN_KEEP_CACHE : 0u) | (mode.cache_entries ? FOPEN_CACHE_DIR : 0u) |
         (mode.no_flush ? FOPEN_NOFLUSH : 0u);
}

size_t pack_entry(Bytes listing, size_t used, const memfs::DirectoryEntry& entry, bool plus,
                  const Attr* attr) {
  const size_t header = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  const size_t end = used + FUSE_DIRENT_ALIGN(header + entry.name.size());
  if (end > listing.size()) return 0;
  std::byte* to = listing.data() + used;
  std::memset(to, 0, end - used);
  if (plus && attr != nullptr) {
    const fuse_entry_out out = to_entry(*attr);
    std::memcpy(to, &out, sizeof(out));
  }
  fuse_dirent dirent = {};
  dirent.ino = entry.mnode.v;
  dirent.off = entry.next_cookie;
  dirent.namelen = static_cast<uint32_t>(entry.name.size());
  dirent.type = entry.type;
  std::memcpy(to + header - FUSE_NAME_OFFSET, &dirent, FUSE_NAME_OFFSET);
  std::memcpy(to + header, entry.name.data(), entry.name.size());
  return end;
}

}  // namespace scalefs::fuse::wire
