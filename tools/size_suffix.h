// Sizes as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace scalefs::tools {

// "16M", "1G", "4096": a decimal number of bytes, or of KiB, MiB, GiB, TiB with K, M, G, T (either
// case; "KiB" and "KB" mean the same). Empty for anything else, for 0, and for what passes 2^64.
std::optional<uint64_t> parse_size(std::string_view text);

// In the largest unit that leaves at least 1, with up to two decimals: "16 MiB", "1.5 GiB".
std::string format_size(uint64_t bytes);

}  // namespace scalefs::tools
