// Atomics of instrumented code: recorded, then done, always sequentially consistent. Not
// instrumented.
#include "tests/commute/recorder/access.h"

using scalefs::record::Kind;
namespace runtime = scalefs::record::runtime;

#define SCALEFS_PC reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define SCALEFS_NOTE(kind)                                                           \
  runtime::note(const_cast<const void*>(static_cast<const volatile void*>(address)), \
                sizeof(*address), Kind::kind, SCALEFS_PC)

#define SCALEFS_UPDATE(bits, T, name)                                       \
  T __tsan_atomic##bits##_fetch_##name(volatile T* address, T value, int) { \
    SCALEFS_NOTE(atomic_write);                                             \
    return __atomic_fetch_##name(address, value, __ATOMIC_SEQ_CST);         \
  }
// A compare-and-exchange that fails has taken the line for writing all the same.
#define SCALEFS_ATOMICS(bits, T)                                                                   \
  T __tsan_atomic##bits##_load(const volatile T* address, int) {                                   \
    SCALEFS_NOTE(atomic_read);                                                                     \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile T* address, T value, int) {                            \
    SCALEFS_NOTE(atomic_write);                                                                    \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  T __tsan_atomic##bits##_exchange(volatile T* address, T value, int) {                            \
    SCALEFS_NOTE(atomic_write);                                                                    \
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                                  \
  }                                                                                                \
  bool __tsan_atomic##bits##_compare_exchange_strong(volatile T* address, T* expected, T value,    \
                                                     int, int) {                                   \
    SCALEFS_NOTE(atomic_write);                                                                    \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,          \
                                       __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  bool __tsan_atomic##bits##_compare_exchange_weak(volatile T* address, T* expected, T value, int, \
                                                   int) {                                          \
    SCALEFS_NOTE(atomic_write);                                                                    \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,          \
                                       __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  SCALEFS_UPDATE(bits, T, add)                                                                     \
  SCALEFS_UPDATE(bits, T, sub)                                                                     \
  SCALEFS_UPDATE(bits, T, and)                                                                     \
  SCALEFS_UPDATE(bits, T, or)                                                                      \
  SCALEFS_UPDATE(bits, T, xor)                                                                     \
  SCALEFS_UPDATE(bits, T, nand)

extern "C" {

SCALEFS_ATOMICS(8, uint8_t)
SCALEFS_ATOMICS(16, uint16_t)
SCALEFS_ATOMICS(32, uint32_t)
SCALEFS_ATOMICS(64, uint64_t)

// 16 bytes: by cmpxchg16b, which writes even where it only loads.
__extension__ typedef unsigned __int128 Wide;
bool __tsan_atomic128_compare_exchange_strong(volatile Wide* address, Wide* expected, Wide value,
                                              int, int) {
  SCALEFS_NOTE(atomic_write);
  const Wide before = __sync_val_compare_and_swap(address, *expected, value);
  const bool done = before == *expected;
  *expected = before;
  return done;
}
bool __tsan_atomic128_compare_exchange_weak(volatile Wide* address, Wide* expected, Wide value,
                                            int success, int failure) {
  return __tsan_atomic128_compare_exchange_strong(address, expected, value, success, failure);
}
Wide __tsan_atomic128_load(const volatile Wide* address, int) {
  SCALEFS_NOTE(atomic_write);
  return __sync_val_compare_and_swap(const_cast<volatile Wide*>(address), Wide{0}, Wide{0});
}
Wide __tsan_atomic128_exchange(volatile Wide* address, Wide value, int) {
  SCALEFS_NOTE(atomic_write);
  for (;;) {
    const Wide before = *address;
    if (__sync_bool_compare_and_swap(address, before, value)) return before;
  }
}
void __tsan_atomic128_store(volatile Wide* address, Wide value, int order) {
  (void)__tsan_atomic128_exchange(address, value, order);
}

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
