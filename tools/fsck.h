// fsck.scalefs without its command line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace scalefs::tools {

// Exit codes, as fsck(8) has them; a sum where several hold.
inline constexpr int kFsckClean = 0;  // also after the journal was replayed
inline constexpr int kFsckRepaired = 1;
inline constexpr int kFsckErrorsLeft = 4;
inline constexpr int kFsckOperational = 8;  // not a volume, locked, cannot be read
inline constexpr int kFsckUsage = 16;

struct FsckOptions {
  std::string path;
  bool read_only = false;  // -n: the journal is replayed in memory only
  bool verbose = false;
  bool force = false;      // -f: check also what was unmounted in order
  bool automatic = false;  // -p: a volume that was unmounted in order passes unseen; repairs are made
                           // only if nothing is lost by them
  bool yes = false;        // -y: repairs are made
  bool data = false;       // verify all data too
  bool json = false;       // one object instead of lines
  int progress_fd = -1;    // -C
  size_t threads = 0;      // -j; 0: one for each CPU
  uint64_t lock_wait_ms = 10'000;
  // Asks the operator, with neither -n, -p nor -y; empty: there is nobody to ask.
  std::function<bool(const std::string& question)> ask;
};

// Checks, and where asked for repairs. Prints a line a finding and a summary to `out`, errors to
// `err`; returns the exit code.
int run_fsck(const FsckOptions& options, FILE* out, FILE* err);

}  // namespace scalefs::tools
