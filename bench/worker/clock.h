// Clocks in nanoseconds: the monotonic one, processor time of this thread, of this process and of others.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cerrno>
#include <cstdint>

namespace scalefs::bench {

inline uint64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

// Returns early when a signal comes.
inline void pause_ns(uint64_t ns) {
  const timespec time = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

}  // namespace scalefs::bench
