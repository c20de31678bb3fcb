// How many requests of each kind were answered, and how long each took in the daemon, from its arrival to just before
// its answer goes out. Each core counts on lines of its own, so that counting shares nothing (I1); two additions and two
// looks at the clock a request, a few dozen nanoseconds of the ten microseconds that one costs.
//
// Thread safety: all of it, from any thread. What is read is exact when nothing is answered meanwhile.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/atomic.h"
#include "base/core.h"

namespace scalefs::fuse {

class RequestStats {
 public:
  RequestStats();

  // An answer to a request of this kind (FUSE_LOOKUP, ...), which came when interval_now() was `since`.
  void note(uint32_t opcode, uint64_t since);

  struct Kind {
    std::string_view name;
    uint64_t count = 0;
    // Nanoseconds. The percentiles and the longest are upper bounds, at most half as much again as what they bound.
    uint64_t mean_ns = 0, p50_ns = 0, p99_ns = 0, max_ns = 0;
  };
  // Kinds that were answered at least once.
  std::vector<Kind> kinds() const;
  uint64_t age_ms() const;

 private:
  static constexpr uint32_t kKinds = 64;
  // Two for each power of two of what interval_now() counts: 256, 384, 512, ...
  static constexpr uint32_t kBuckets = 64;
  static uint32_t bucket_of(uint64_t cycles);
  static uint64_t bound_of(uint32_t bucket);
  double ns_a_cycle() const;

  struct Counts {
    RelaxedCounter cycles;
    std::array<RelaxedCounter, kBuckets> buckets;
  };
  PerCore<std::array<Counts, kKinds>> cores_;
  const uint64_t start_cycles_;
  const uint64_t start_ms_;
};

}  // namespace scalefs::fuse
