#include "base/memory.h"

#include <atomic>

#include "base/core.h"

namespace scalefs {
namespace {

constexpr size_t kClasses = static_cast<size_t>(MemoryClass::count);

struct alignas(kFalseSharingBytes) Counters {
  std::atomic<int64_t> bytes[kClasses];
};
static_assert(sizeof(Counters) == kFalseSharingBytes);

// Room for every slot there can be, for tests change the number of cores; untouched pages of it
// cost nothing.
constinit Counters counters[kCoresMax];
// Slots below this one may be non-zero. Grows only, and rarely, and has lines of its own, so that they
// stay shared.
struct alignas(kFalseSharingBytes) SlotsUsed {
  std::atomic<uint32_t> value{0};
};
constinit SlotsUsed slots_used;

void note_slot(uint32_t core) {
  uint32_t used = slots_used.value.load(std::memory_order_relaxed);
  while (used <= core &&
         !slots_used.value.compare_exchange_weak(used, core + 1, std::memory_order_relaxed)) {
  }
}

}  // namespace

const char* memory_class_name(MemoryClass c) {
  switch (c) {
    case MemoryClass::mnode: return "mnode";
    case MemoryClass::directory: return "directory";
    case MemoryClass::page: return "page";
    case MemoryClass::page_tree: return "page_tree";
    case MemoryClass::name: return "name";
    case MemoryClass::xattr: return "xattr";
    case MemoryClass::oplog: return "oplog";
    case MemoryClass::delta_cache: return "delta_cache";
    case MemoryClass::tree_node: return "tree_node";
    case MemoryClass::space_map: return "space_map";
    case MemoryClass::journal_buffer: return "journal_buffer";
    case MemoryClass::committed_view: return "committed_view";
    case MemoryClass::count: break;
  }
  return "?";
}

void memory_count(MemoryClass c, int64_t delta) {
  SCALEFS_DCHECK(c < MemoryClass::count);
  const uint32_t core = current_core();
  if (core >= slots_used.value.load(std::memory_order_relaxed)) [[unlikely]]
    note_slot(core);
  // Relaxed: a statistic. An atomic add, for the thread may have moved to another core since.
  counters[core].bytes[static_cast<size_t>(c)].fetch_add(delta, std::memory_order_relaxed);
}

int64_t memory_bytes(MemoryClass c) {
  SCALEFS_CHECK(c < MemoryClass::count);
  const uint32_t used = slots_used.value.load(std::memory_order_relaxed);
  int64_t sum = 0;
  for (uint32_t core = 0; core < used; ++core)
    sum += counters[core].bytes[static_cast<size_t>(c)].load(std::memory_order_relaxed);
  return sum;
}

int64_t memory_bytes_total() {
  int64_t sum = 0;
  for (size_t c = 0; c < kClasses; ++c) sum += memory_bytes(static_cast<MemoryClass>(c));
  return sum;
}

}  // namespace scalefs
