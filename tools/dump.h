// scalefs-dump without its command line: shows what stands on a volume. Never writes to the device.
//
// What the newest checkpoint and the journal behind it make together is shown: the journal is replayed
// in memory, as fsck.scalefs -n does. `probe` alone looks at superblocks only, and takes no lock, so that it may run at any time. With `checkpoint_only`, or where the journal cannot be replayed
// (which is said), the newest checkpoint alone.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace scalefs::tools {

// Exit codes.
inline constexpr int kDumpDone = 0;
inline constexpr int kDumpNoSuch = 1;       // the volume has no such path or inode
inline constexpr int kDumpDamaged = 4;      // what is shown has gaps: something cannot be read
inline constexpr int kDumpOperational = 8;  // not a volume, locked, cannot be read
inline constexpr int kDumpUsage = 16;

struct DumpOptions {
  enum class What : uint8_t { super, journal, tree, inode, dir, probe };
  std::string path;
  What what = What::super;
  std::string target;            // of inode and dir: a number or a path from the root
  bool checkpoint_only = false;  // leaves the journal out
  bool verbose = false;          // operations of batches, items of nodes, values of xattrs
  bool json = false;             // an object a line
  uint64_t lock_wait_ms = 10'000;
};

int run_dump(const DumpOptions& options, FILE* out, FILE* err);

}  // namespace scalefs::tools
