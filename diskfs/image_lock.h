// The lock of an image: an open-file-description lock (F_OFD_SETLK) on the whole file, exclusive
// for who may write, shared for who only reads. It goes with the open file description: it survives
// a fork (the daemon's) and ends when the last descriptor is closed, also by a kill.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "base/result.h"

namespace scalefs::diskfs {

enum class ImageLock : uint8_t { none, shared, exclusive };

struct LockWait {
  // How long to go on trying; 0 tries once.
  uint64_t wait_ms = 10'000;
  // Called once when a second has passed without the lock, with the holder's process id (0 when it
  // cannot be found), so that the program can say what it waits for.
  std::function<void(pid_t holder)> waiting;
};

// Locks the file behind `fd`. Polls. EBUSY when others still hold it at the end. A file system that
// knows no locks (ENOLCK, EOPNOTSUPP) is an error as well: nobody would be kept out.
Status lock_image(int fd, ImageLock mode, const LockWait& wait);

// The process that holds a lock which keeps `fd` from being locked as `mode`; 0 when nobody does or
// it cannot be found. The kernel tells no process for this kind of lock, so the descriptors of all
// processes that the caller may look at are searched (/proc/PID/fdinfo).
pid_t lock_holder(int fd, ImageLock mode);

}  // namespace scalefs::diskfs
