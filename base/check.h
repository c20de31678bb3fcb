// Assertions for programmer errors. They stay on in every build: a file system that has lost its
// invariants must stop before it writes. Never used for what a caller or an image can cause.
#pragma once

namespace scalefs {
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
}  // namespace scalefs

#define SCALEFS_CHECK(condition)                               \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::scalefs::check_failed(__FILE__, __LINE__, #condition); \
  } while (0)

// For hot paths, where a measurement showed that CHECK costs: only in builds without NDEBUG.
#ifdef NDEBUG
#define SCALEFS_DCHECK(condition)        \
  do {                                   \
    if (false) SCALEFS_CHECK(condition); \
  } while (0)
#else
#define SCALEFS_DCHECK(condition) SCALEFS_CHECK(condition)
#endif
