// Pairs of names with equal hashes, which were looked for: four in some 10^10.
#pragma once

#include <array>
#include <string_view>

#include "base/hash.h"

namespace scalefs::testing {

// Of formatted_device() too.
inline constexpr HashKey kEqualHashesKey{1, 2};

inline constexpr std::array<std::string_view, 2> kEqualHashes[] = {
    {"ackcaiejlabcgbnf", "jaanklekhofknhlb"},  // 1c5a084b9d47e370
    {"mjfapellmmhhkbjk", "iiklfkgmncdjcppj"},  // c9b802e1fefb2bac
    {"okaopabmkdgipbfl", "ompaiboncabhbfhh"},  // a3b768b694bbffad
    {"mbncnilmgkcjdnao", "iaadahpadhcbdapi"},  // 0fbfde0b3691142a
};

}  // namespace scalefs::testing
