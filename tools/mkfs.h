// mkfs.scalefs without its command line: decides whether the path may be formatted, formats it, and
// says what it made.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "diskfs/superblock.h"

namespace scalefs::tools {

// Exit codes of mkfs.scalefs.
inline constexpr int kMkfsOk = 0;
inline constexpr int kMkfsRefused = 1;  // usage, or it may not be formatted; nothing has changed
inline constexpr int kMkfsFailed = 2;   // an error of the system; what the path holds is undefined

struct MkfsOptions {
  std::string path;
  std::optional<uint64_t> size_bytes;  // make an image file of this size
  std::string label;
  std::optional<diskfs::Uuid> uuid;
  bool force = false;  // format although it holds something
  bool quiet = false;
  bool dry_run = false;
  bool preallocate = false;
  bool discard = true;  // tells the device, or the host file system, that the old content is not needed
  // Fixes the times, and with a uuid given the hash key: the same call makes the same image.
  std::optional<int64_t> source_date_epoch;  // seconds since 1970
  uint64_t lock_wait_ms = 10'000;
};

// Returns the exit code. Errors go to `err`, one line each with the program's name in front; what
// was made goes to `out` unless quiet.
int run_mkfs(const MkfsOptions& options, FILE* out, FILE* err);

// SOURCE_DATE_EPOCH of the environment; empty when it is not set. False when it is set but no
// number.
bool source_date_epoch(std::optional<int64_t>* seconds);

}  // namespace scalefs::tools
