// Core identity and per-core storage. The core number is a hint (a thread may migrate at any
// instruction): correctness never depends on it, only locality. Tests fake both the number of
// cores and the core of a thread, so 128 cores run on any machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "base/check.h"

namespace scalefs {

// Two adjacent lines are fetched together on current x86; data of two cores is kept this far apart.
inline constexpr size_t kFalseSharingBytes = 128;
// Cores beyond this many share slots (core % kCoresMax). Also the width of the core field of an
// mnode number (10 bits), which never changes between mounts.
inline constexpr uint32_t kCoreBits = 10;
inline constexpr uint32_t kCoresMax = 1u << kCoreBits;

// Number of core slots of this process: the possible CPUs of the machine, or what a test set.
// Constant after the first call other than through set_core_count_for_test.
uint32_t core_count();
void set_core_count_for_test(uint32_t count);

// The caller's slot, below core_count(). From rseq (sched_getcpu), or what the thread was given.
uint32_t current_core();
// Gives the calling thread a slot of its own (a pinned worker, a simulated core); -1 takes it back.
void set_thread_core(int32_t core);

// One T a core, each on its own cache lines. Constructed with the number of cores at that time.
template <class T>
class PerCore {
 public:
  PerCore() : count_(core_count()), items_(new Item[count_]) {}
  uint32_t size() const { return count_; }
  T& at(uint32_t core) {
    SCALEFS_DCHECK(core < count_);
    return items_[core].value;
  }
  const T& at(uint32_t core) const {
    SCALEFS_DCHECK(core < count_);
    return items_[core].value;
  }
  T& mine() { return items_[current_core() % count_].value; }

 private:
  struct alignas(kFalseSharingBytes) Item {
    T value{};
  };
  uint32_t count_;
  std::unique_ptr<Item[]> items_;
};

}  // namespace scalefs
