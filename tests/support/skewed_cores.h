// So many simulated cores, each one's cycle clock off by a random amount, for as long as the object lives; the thread that
// makes it is on core 0, so that what it does before a seeded run is the same each time. What the operation log promises
// (P1) holds on any clocks. One at a time.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/core.h"
#include "base/random.h"

namespace scalefs::testing {

class SkewedCores {
 public:
  // `most`: the largest skew either way, in cycles (of the seeded scheduler: some steps of a thread each).
  SkewedCores(uint32_t cores, uint64_t seed, uint64_t most = 1000) : before_(core_count()) {
    set_core_count_for_test(cores);
    set_thread_core(0);
    Random random(seed);
    for (uint32_t core = 0; core < cores; ++core) {
      const auto skew = static_cast<int64_t>(random.below(2 * most)) - static_cast<int64_t>(most);
      set_cycle_skew_for_test(core, random.percent(30) ? 0 : skew);
    }
  }
  ~SkewedCores() {
    for (uint32_t core = 0; core < core_count(); ++core) set_cycle_skew_for_test(core, 0);
    set_core_count_for_test(before_);
    set_thread_core(-1);
  }
  SkewedCores(const SkewedCores&) = delete;
  SkewedCores& operator=(const SkewedCores&) = delete;

 private:
  const uint32_t before_;
};

}  // namespace scalefs::testing
