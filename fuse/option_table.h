// The mount options that scalefs knows: their names, and what each does to Options.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fuse/options.h"

namespace scalefs::fuse {

// Applies one option of a -o list, "name" or "name=value"; an error in one line, or nullopt.
std::optional<std::string> apply_option(std::string_view option, Options& options);

// A known option's name that `name` may have been meant to be; empty when none is near.
std::string nearest_option(std::string_view name);

}  // namespace scalefs::fuse
