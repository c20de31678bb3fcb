// What -fsanitize=thread calls. Not instrumented.
#include <stdlib.h>

#include "tests/commute/recorder/access.h"

using scalefs::record::Kind;
namespace runtime = scalefs::record::runtime;

#define SCALEFS_PC reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define SCALEFS_HOOK(name, size, kind) \
  void name(void* address) { runtime::note(address, size, Kind::kind, SCALEFS_PC); }
#define SCALEFS_HOOKS(size)                                      \
  SCALEFS_HOOK(__tsan_read##size, size, read)                    \
  SCALEFS_HOOK(__tsan_write##size, size, write)                  \
  SCALEFS_HOOK(__tsan_unaligned_read##size, size, read)          \
  SCALEFS_HOOK(__tsan_unaligned_write##size, size, write)        \
  SCALEFS_HOOK(__tsan_volatile_read##size, size, read)           \
  SCALEFS_HOOK(__tsan_volatile_write##size, size, write)         \
  SCALEFS_HOOK(__tsan_unaligned_volatile_read##size, size, read) \
  SCALEFS_HOOK(__tsan_unaligned_volatile_write##size, size, write)

extern "C" {

SCALEFS_HOOKS(1)
SCALEFS_HOOKS(2)
SCALEFS_HOOKS(4)
SCALEFS_HOOKS(8)
SCALEFS_HOOKS(16)

void __tsan_read_range(void* address, size_t size) {
  runtime::note(address, size, Kind::read, SCALEFS_PC);
}
void __tsan_write_range(void* address, size_t size) {
  runtime::note(address, size, Kind::write, SCALEFS_PC);
}
SCALEFS_HOOK(__tsan_vptr_read, sizeof(void*), read)
// Destructors set the pointer to what it is already; that is a store all the same.
void __tsan_vptr_update(void** address, void*) {
  runtime::note(address, sizeof(void*), Kind::write, SCALEFS_PC);
}

void __tsan_init() {}
void __tsan_func_entry(void* pc) { runtime::push_frame(reinterpret_cast<uintptr_t>(pc)); }
void __tsan_func_exit() { runtime::pop_frame(); }

}  // extern "C"
