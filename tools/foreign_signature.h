// What libblkid finds on a device or image: a file system, a RAID member, swap, a partition table.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace scalefs::tools {

struct Signature {
  std::string type;   // "ext4", "swap", "gpt", ...
  std::string label;  // empty when there is none
  std::string uuid;
};

// The first thing that is found; empty when there is nothing. EIO when the probe itself fails.
Result<std::optional<Signature>> find_signature(int fd);

// Overwrites the signatures that libblkid knows, all of them.
Status wipe_signatures(int fd);

// `ext4 (label "x", UUID y)`.
std::string describe(const Signature& signature);

}  // namespace scalefs::tools
