// Which processors there are, for who has something for each of them.
#pragma once

#include <string_view>
#include <vector>

namespace scalefs::fuse {

// "0-3,8": 0 1 2 3 8. Empty: not such a list.
std::vector<unsigned> parse_processors(std::string_view text);

// All that may ever run. Empty: the kernel does not say.
std::vector<unsigned> possible_processors();
// Those that the calling thread may run on, ascending. Empty: the kernel does not say.
std::vector<unsigned> our_processors();

}  // namespace scalefs::fuse
