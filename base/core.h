// Core identity and per-core storage. The core number is a hint (a thread may migrate at any
// instruction): correctness never depends on it, only locality. Tests fake both the number of
// cores and the core of a thread, so 128 cores run on any machine.
#pragma once

#include <sched.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include <atomic>
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

namespace core_detail {

extern std::atomic<uint32_t> slots;                // 0: not asked for yet
extern constinit thread_local int32_t own;         // what the thread was given, or -1
uint32_t count_slots();

// What sched_getcpu() reads, without the calls: the kernel keeps it in the thread's own memory.
inline int32_t cpu_now() {
#if defined(RSEQ_SIG) && defined(__x86_64__)
  if (__rseq_size != 0) [[likely]] {
    const char* thread;
    asm("mov %%fs:0, %0" : "=r"(thread));
    const auto* area = reinterpret_cast<const struct rseq*>(thread + __rseq_offset);
    // Volatile: the kernel changes it.
    return static_cast<int32_t>(*static_cast<const volatile uint32_t*>(&area->cpu_id));
  }
#endif
  return ::sched_getcpu();
}

}  // namespace core_detail

// Number of core slots of this process: the possible CPUs of the machine, or what a test set.
// Constant after the first call other than through set_core_count_for_test.
inline uint32_t core_count() {
  // Relaxed: the number alone is the message, and every thread would compute the same one.
  const uint32_t count = core_detail::slots.load(std::memory_order_relaxed);
  return count != 0 ? count : core_detail::count_slots();
}
void set_core_count_for_test(uint32_t count);

// The caller's slot, below core_count(). From rseq, or what the thread was given.
inline uint32_t current_core() {
  const int32_t given = core_detail::own;
  const int32_t core = given >= 0 ? given : core_detail::cpu_now();
  const uint32_t slot = core < 0 ? 0 : static_cast<uint32_t>(core);
  const uint32_t count = core_count();
  return slot < count ? slot : slot % count;
}
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
  // The caller's. A division only where a test changed the number of cores since.
  uint32_t index() const {
    const uint32_t core = current_core();
    return core < count_ ? core : core % count_;
  }
  T& mine() { return items_[index()].value; }

 private:
  struct alignas(kFalseSharingBytes) Item {
    T value{};
  };
  uint32_t count_;
  std::unique_ptr<Item[]> items_;
};

}  // namespace scalefs
