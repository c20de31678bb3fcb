// fsck.scalefs without its command line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace scalefs::tools {

// Exit codes, as fsck(8) has them.
inline constexpr int kFsckClean = 0;  // also after the journal was replayed
inline constexpr int kFsckErrorsLeft = 4;
inline constexpr int kFsckOperational = 8;  // not a volume, locked, cannot be read
inline constexpr int kFsckUsage = 16;

struct FsckOptions {
  std::string path;
  bool read_only = false;  // -n: the journal is replayed in memory only
  bool verbose = false;
  bool force = false;      // -f: check also what was unmounted in order
  bool automatic = false;  // -p: a volume that was unmounted in order passes unseen
  uint64_t lock_wait_ms = 10'000;
};

// Prints a line a finding and a summary to `out`, errors to `err`; returns the exit code.
int run_fsck(const FsckOptions& options, FILE* out, FILE* err);

}  // namespace scalefs::tools
