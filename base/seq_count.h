// A sequence count (seqlock; Lameter, "Effective synchronization on Linux/NUMA systems", 2005; its memory
// orders: Boehm, "Can seqlocks get along with programming language memory models?", 2012). Readers
// write nothing: they copy what they want and keep it when the count was even before and is the same
// after. One writer at a time, which the caller's lock sees to. What is copied are Atomics, or bytes
// through racy_load, racy_store and racy_zero.
#pragma once

#include "base/atomic.h"

namespace scalefs {

class SeqCount {
 public:
  // Odd: a writer is at work, try again.
  uint32_t begin_read() const { return value_.load(acquire); }  // pairs with end_write
  static bool writing(uint32_t begun) { return (begun & 1) != 0; }
  // What was read since begin_read() returned `begun` belongs together.
  bool unchanged(uint32_t begun) const {
    fence(acquire);  // pairs with the fence in begin_write: who sees a change sees the odd count
    return value_.load(relaxed) == begun;
  }

  void begin_write() {
    value_.store(value_.load(relaxed) + 1, relaxed);
    fence(release);  // pairs with the fence in unchanged
  }
  void end_write() { value_.store(value_.load(relaxed) + 1, release); }  // pairs with begin_read

 private:
  // The thread sanitizer knows no fences; it needs none either, for all that is read is atomic, and the
  // order of x86 and of the instrumented code is strong enough.
  static void fence([[maybe_unused]] std::memory_order order) {
#if !defined(__SANITIZE_THREAD__)
    std::atomic_thread_fence(order);
#endif
  }
  Atomic<uint32_t> value_{0};
};

}  // namespace scalefs
