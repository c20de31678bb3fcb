#include "fuse/negotiate.h"

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "fuse/ring_protocol.h"

namespace scalefs::fuse {
namespace {

constexpr unsigned kBackgroundRequests = 64;

}  // namespace

void negotiate(fuse_conn_info& connection, bool strict_open, bool writeback_cache) {
  const auto want = [&](unsigned capability, bool on) {
    if (on && (connection.capable & capability) != 0) {
      connection.want |= capability;
    } else {
      connection.want &= ~capability;
    }
  };
  // Read-ahead may come in parallel: reads of one file do not block each other here.
  want(FUSE_CAP_ASYNC_READ, true);
  want(FUSE_CAP_ASYNC_DIO, true);
  // Open with O_TRUNC in one request instead of two; without OPEN the truncation is the one that there is.
  want(FUSE_CAP_ATOMIC_O_TRUNC, strict_open);
  // Umask or default ACL is for us to apply, since only we know the parent's ACL.
  want(FUSE_CAP_DONT_MASK, true);
  want(FUSE_CAP_POSIX_ACL, true);
  // chattr on directories.
  want(FUSE_CAP_IOCTL_DIR, true);
  // The kernel alone changes the volume: a changed mtime or size is its own doing and no reason
  // to drop pages.
  want(FUSE_CAP_AUTO_INVAL_DATA, false);
  want(FUSE_CAP_EXPLICIT_INVAL_DATA, true);
  // A symlink's target never changes.
  want(FUSE_CAP_CACHE_SYMLINKS, true);
  // Listings bring attributes where the reader has shown that it asks for them.
  want(FUSE_CAP_READDIRPLUS, true);
  want(FUSE_CAP_READDIRPLUS_AUTO, true);
  // Locks stay in the kernel: correct, local and without a request.
  want(FUSE_CAP_POSIX_LOCKS, false);
  want(FUSE_CAP_FLOCK_LOCKS, false);
  // A write is accepted, with room for it, when write(2) returns; with the kernel's write-back cache
  // it would be some time later.
  want(FUSE_CAP_WRITEBACK_CACHE, writeback_cache);
  // Node ids are never reused, but handles of files that were forgotten are not looked up by number.
  want(FUSE_CAP_EXPORT_SUPPORT, false);
  // Measured: splicing a megabyte costs several times what copying it does.
  want(FUSE_CAP_SPLICE_READ, false);
  want(FUSE_CAP_SPLICE_WRITE, false);
  want(FUSE_CAP_SPLICE_MOVE, false);
  // HANDLE_KILLPRIV_V2 takes its place, see below; the kernel takes one of them.
  want(FUSE_CAP_HANDLE_KILLPRIV, false);

  if (connection.max_write > kTransferBytesMax) connection.max_write = kTransferBytesMax;
  connection.max_background = kBackgroundRequests;
  connection.congestion_threshold = kBackgroundRequests * 3 / 4;
  connection.time_gran = 1;
}

uint64_t negotiated_beyond_libfuse(uint64_t offered, bool rings) {
  // Lookups and listings of one directory go in parallel.
  uint64_t flags = FUSE_PARALLEL_DIROPS;
  // Set-id bits and file capabilities are dropped with the write, chown or truncate that calls for
  // it; without this every write is preceded by a GETXATTR.
  flags |= FUSE_HANDLE_KILLPRIV_V2;
  // Setting an access list says whether the caller may keep the set-gid bit.
  flags |= FUSE_SETXATTR_EXT;
  if (rings) flags |= ring::kInitOverRings;
  return flags & offered;
}

}  // namespace scalefs::fuse
