#include "memfs/page_memory.h"

#include <cstdlib>
#include <new>

#include "base/epoch.h"
#include "base/memory.h"

namespace scalefs::memfs {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kKept = 0;  // the sanitizers shall see every allocation
#else
constexpr size_t kKept = 32;
#endif

// Trivial, so that it can be used in destructors of other thread-local objects.
struct Kept {
  size_t count;
  bool closed;  // the thread is ending
  std::byte* pages[kKept + 1];
};
thread_local constinit Kept kept{};

struct FreeKeptAtThreadExit {
  ~FreeKeptAtThreadExit() {
    kept.closed = true;
    while (kept.count > 0) std::free(kept.pages[--kept.count]);
  }
};

}  // namespace

std::byte* allocate_page() {
  memory_count(MemoryClass::page, kBlockBytes);
  if (kept.count > 0) return kept.pages[--kept.count];
  void* page = std::aligned_alloc(kBlockBytes, kBlockBytes);
  if (page == nullptr) {
    memory_count(MemoryClass::page, -static_cast<int64_t>(kBlockBytes));
    throw std::bad_alloc();
  }
  return static_cast<std::byte*>(page);
}

void free_page(std::byte* page) {
  memory_count(MemoryClass::page, -static_cast<int64_t>(kBlockBytes));
  if (kept.count < kKept && !kept.closed) {
    thread_local FreeKeptAtThreadExit free_at_exit;
    (void)&free_at_exit;
    kept.pages[kept.count++] = page;
    return;
  }
  std::free(page);
}

void retire_page(std::byte* page) {
  epoch::retire(page, [](void* p) { free_page(static_cast<std::byte*>(p)); });
}

}  // namespace scalefs::memfs
