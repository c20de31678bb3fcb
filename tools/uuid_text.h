// UUIDs as text: 8-4-4-4-12 hexadecimal digits.
#pragma once

#include <optional>
#include <string>

#include "diskfs/superblock.h"

namespace scalefs::tools {

// Empty when `text` is no UUID.
std::optional<diskfs::Uuid> parse_uuid(const std::string& text);
std::string format_uuid(const diskfs::Uuid& uuid);  // lower case

}  // namespace scalefs::tools
