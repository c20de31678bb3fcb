// SHA-256 (FIPS 180-4), for comparing content with what other programs say of it.
#pragma once

#include <string>
#include <string_view>

namespace scalefs::testing {

// The digest as 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);
std::string to_hex(std::string_view bytes);

}  // namespace scalefs::testing
