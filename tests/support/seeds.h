// Seeds of random tests. Fixed ones repeat for ever; those of a commit differ from commit to commit and
// are the same for everybody who tests it (SCALEFS_COMMIT_SEED, from the commit's hash; scripts/test.sh
// sets it). SCALEFS_SEED=n runs that seed alone, which is what a failure tells to do.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/hash.h"

namespace scalefs::testing {

inline uint64_t commit_seed(uint64_t index) {
  const char* commit = std::getenv("SCALEFS_COMMIT_SEED");
  std::string text = commit ? commit : "none";
  return siphash24(HashKey{index, 0x73656564}, text) >> 16;
}

inline bool seed_given(uint64_t* seed) {
  const char* text = std::getenv("SCALEFS_SEED");
  if (!text) return false;
  *seed = std::strtoull(text, nullptr, 10);
  return true;
}

// A count that a flag raises and a sanitised run lowers.
inline uint64_t count_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// One thread alone shows the thread sanitizer nothing.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

// How many of `full` seeds a test of one thread tries: fewer where a sanitizer makes each of them many
// times as dear, fewest where that sanitizer looks for races.
inline constexpr uint64_t seeds_of(uint64_t full) {
  const uint64_t part = kThreadSanitized ? 8 : kSanitized ? 4 : 1;
  return (full + part - 1) / part;
}

}  // namespace scalefs::testing
