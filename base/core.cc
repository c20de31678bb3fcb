#include "base/core.h"

#include <sys/sysinfo.h>

#include <algorithm>

namespace scalefs {
namespace core_detail {

constinit std::atomic<uint32_t> slots{0};
constinit thread_local int32_t own = -1;

uint32_t count_slots() {
  const auto count =
      static_cast<uint32_t>(std::clamp(::get_nprocs_conf(), 1, static_cast<int>(kCoresMax)));
  uint32_t none = 0;
  slots.compare_exchange_strong(none, count, std::memory_order_relaxed);
  return none == 0 ? count : none;
}

}  // namespace core_detail

void set_core_count_for_test(uint32_t count) {
  SCALEFS_CHECK(count >= 1 && count <= kCoresMax);
  core_detail::slots.store(count, std::memory_order_relaxed);
}

void set_thread_core(int32_t core) { core_detail::own = core < 0 ? -1 : core; }

}  // namespace scalefs
