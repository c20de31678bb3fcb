// Failing allocations: of those that threads make while they are in the engine the n-th fails, alone or with all that
// follow. Only programs with failing operators (tests/fault/volume/memory_test.cc) have them; in others this does nothing.
#pragma once

#include <cstdint>

#include "base/atomic.h"

namespace scalefs::testing {

class MemoryFaults {
 public:
  // From now on; counts from 1. `everyone`: also what threads of the engine allocate, which are then never "in" it.
  static void fail(uint64_t n, bool later_too, bool everyone = false) {
    count_.store(0, relaxed);
    later_too_.store(later_too, relaxed);
    everyone_.store(everyone, relaxed);
    failing_.store(n, relaxed);
  }
  static void clear() {
    failing_.store(UINT64_MAX, relaxed);
    everyone_.store(false, relaxed);
  }
  // Since fail().
  static uint64_t count() { return count_.load(relaxed); }

  // For as long as it lives the thread is in the engine, or out of it.
  template <bool kIn>
  class Where {
   public:
    Where() : before_(in_engine_) { in_engine_ = kIn; }
    ~Where() { in_engine_ = before_; }
    Where(const Where&) = delete;
    Where& operator=(const Where&) = delete;

   private:
    const bool before_;
  };
  using InEngine = Where<true>;
  using Outside = Where<false>;

  // For the operators.
  static bool next_fails() {
    const uint64_t failing = failing_.load(relaxed);
    if (failing == UINT64_MAX || !(in_engine_ || (everyone_.load(relaxed) && !outside_))) return false;
    const uint64_t now = count_.fetch_add(1, relaxed) + 1;
    return now == failing || (later_too_.load(relaxed) && now > failing);
  }
  // A thread that is never meant by `everyone`.
  static void stay_outside() { outside_ = true; }

 private:
  static inline Atomic<uint64_t> failing_{UINT64_MAX};
  static inline Atomic<uint64_t> count_{0};
  static inline Atomic<bool> later_too_{false};
  static inline Atomic<bool> everyone_{false};
  static inline thread_local bool in_engine_ = false;
  static inline thread_local bool outside_ = false;
};

}  // namespace scalefs::testing
