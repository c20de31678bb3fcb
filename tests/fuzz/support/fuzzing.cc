#include "tests/fuzz/support/fuzzing.h"

#include <cstdio>
#include <cstdlib>

#include "base/log.h"

namespace scalefs::fuzz {

void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

void silence_log() { set_log_level(static_cast<LogLevel>(-1)); }

bool canary_wanted() {
  static const bool wanted = std::getenv("SCALEFS_FUZZ_CANARY") != nullptr;
  return wanted;
}

void canary_found() {
  std::fprintf(stderr, "the canary was found\n");
  std::abort();
}

bool sealing_wanted() {
  static const bool wanted = std::getenv("SCALEFS_FUZZ_UNSEALED") == nullptr;
  return wanted;
}

}  // namespace scalefs::fuzz
