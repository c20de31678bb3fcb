#include "base/core.h"

#include <sched.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <atomic>

namespace scalefs {
namespace {

std::atomic<uint32_t> the_count{0};  // 0: not asked for yet
thread_local int32_t own_core = -1;

}  // namespace

uint32_t core_count() {
  // Relaxed: the number alone is the message, and every thread would compute the same one.
  uint32_t count = the_count.load(std::memory_order_relaxed);
  if (count != 0) [[likely]]
    return count;
  count = static_cast<uint32_t>(std::clamp(::get_nprocs_conf(), 1, static_cast<int>(kCoresMax)));
  uint32_t none = 0;
  the_count.compare_exchange_strong(none, count, std::memory_order_relaxed);
  return none == 0 ? count : none;
}

void set_core_count_for_test(uint32_t count) {
  SCALEFS_CHECK(count >= 1 && count <= kCoresMax);
  the_count.store(count, std::memory_order_relaxed);
}

uint32_t current_core() {
  const uint32_t count = core_count();
  uint32_t core;
  if (own_core >= 0) {
    core = static_cast<uint32_t>(own_core);
  } else {
    const int cpu = ::sched_getcpu();
    core = cpu < 0 ? 0 : static_cast<uint32_t>(cpu);
  }
  return core < count ? core : core % count;
}

void set_thread_core(int32_t core) { own_core = core < 0 ? -1 : core; }

}  // namespace scalefs
