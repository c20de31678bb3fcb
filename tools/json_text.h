// Strings for JSON.
#pragma once

#include <string>
#include <string_view>

namespace scalefs::tools {

// With quotes. Names are bytes of any kind: what is no printable ASCII becomes \u00XX of the byte.
std::string json_text(std::string_view bytes);

}  // namespace scalefs::tools
