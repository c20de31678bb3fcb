// What a transport may be told.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace scalefs::fuse {

struct Options;

// Requests over io_uring (fuse/ring.h). on: a mount without them says so.
enum class RingUse { automatic, on, off };

struct TransportOptions {
  std::vector<std::string> mount_options;  // libfuse's and the kernel's, one each
  unsigned threads = 0;                    // of /dev/fuse, at the most; 0: by the number of cores
  RingUse rings = RingUse::automatic;
  unsigned ring_depth = 32;  // requests of one processor that the daemon has at a time
  // Opens, creations and closes are requests; else the kernel is told, once, that none is needed (open(2) of what it
  // knows costs nothing then, and a new file is a MKNOD).
  bool strict_open = false;
  // The kernel keeps what is written for a while. It then knows a file's size and times better than we do, and data and holes
  // not at all: SEEK_DATA and SEEK_HOLE are declined, so that it calls all of a file data.
  bool writeback_cache = false;
  bool debug = false;  // libfuse prints every request
  // Called once, on a worker, when the kernel has been told that the file system is there.
  std::function<void()> on_ready;
  // Called when a request was answered EUCLEAN; any thread.
  std::function<void()> on_damage;
  // Called when the kernel lets the file system go and waits for it (fuseblk), and at the transport's end; more than once
  // at times.
  std::function<void()> on_end;
};

// What the command line says of the transport.
TransportOptions transport_options(const Options& options, bool as_root, bool read_only);

}  // namespace scalefs::fuse
