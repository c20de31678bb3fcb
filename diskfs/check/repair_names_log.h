// How RepairNames tells what it does.
#pragma once

#include <fmt/format.h>

#include "diskfs/check/repair_names.h"

namespace scalefs::diskfs {

template <class... Args>
void RepairNames::done(Code code, fmt::format_string<Args...> format, Args&&... args) {
  log_.done.add(code, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void RepairNames::lose(Code code, fmt::format_string<Args...> format, Args&&... args) {
  log_.lost.add(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace scalefs::diskfs
