// The allocator of the programs that record: malloc, operator new and their relatives. An arena a
// core at a fixed address, size classes carved from slabs of 64 KiB, free blocks last in, first
// out. What it knows of a block stands apart from the block, so neighbours share lines as under
// jemalloc, and allocating touches no memory that is the program's. A free by another arena's
// thread is recorded as a write of the block, and the block goes back to its arena at the next
// clear(). Not instrumented.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

#include "tests/commute/recorder/access.h"

namespace scalefs::record::runtime {
namespace {

constexpr uintptr_t kBase = 0x600000000000;
constexpr size_t kArenaBytes = size_t{8} << 30;
constexpr int kArenas = 132;
constexpr size_t kSlabBytes = 64 << 10;
constexpr size_t kSlabs = kArenaBytes / kSlabBytes;
constexpr size_t kLargeBytes = 16 << 10;  // beyond it whole slabs
constexpr int kLargeFreeMax = 4096;  // what is freed beyond is lost
constexpr size_t kClassesMax = 48;

struct Block {
  uintptr_t address;
  uintptr_t pc;
  uintptr_t callers[kCallers];
  Block* next;  // in a list of free ones
  bool used;
};
struct Slab {
  size_t block_bytes;  // 0: the slab is not in use, or is a later part of a large block
  size_t slabs;        // of a large block
  size_t cls;          // of a small one
  Block* blocks;
};
struct Arena {
  bool ready;
  char lock;
  Slab* slabs;
  size_t slabs_used;
  Block* free[kClassesMax];
  Block* foreign;         // freed by other arenas' threads
  size_t large_free[kLargeFreeMax];  // first slabs of freed large blocks
  int large_free_count;
};

Arena arenas[kArenas];
size_t classes[kClassesMax];
size_t class_count = 0;
char classes_lock = 0;
__thread int own_arena = 0;

[[noreturn]] void die(const char* text) {
  fputs(text, stderr);
  abort();
}

struct Locked {
  explicit Locked(char& lock) : lock_(lock) {
    while (__atomic_exchange_n(&lock_, 1, __ATOMIC_ACQUIRE) != 0) {
    }
  }
  ~Locked() { __atomic_store_n(&lock_, 0, __ATOMIC_RELEASE); }
  char& lock_;
};

void* map(void* at, size_t bytes) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
  void* memory = mmap(at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) die("recorder: no memory for an arena\n");
  return memory;
}

// What describes blocks comes from here and is never given back.
void* metadata(size_t bytes) {
  static char lock = 0;
  static char* next = nullptr;
  static size_t left = 0;
  Locked locked(lock);
  bytes = (bytes + 15) & ~size_t{15};
  if (left < bytes) {
    left = (bytes > (size_t{4} << 20)) ? bytes : size_t{4} << 20;
    next = static_cast<char*>(map(nullptr, left));
  }
  char* taken = next;
  next += bytes;
  left -= bytes;
  return taken;
}

void make_classes() {
  Locked locked(classes_lock);
  if (class_count != 0) return;
  size_t count = 0;
  for (size_t size = 16; size <= 128; size += 16) classes[count++] = size;
  for (size_t base = 128; base < kLargeBytes; base *= 2)
    for (size_t i = 1; i <= 4; ++i) classes[count++] = base + base / 4 * i;
  class_count = count;
}

uintptr_t arena_base(size_t index) { return kBase + index * kArenaBytes; }

Arena& ready_arena(int index) {
  if (class_count == 0) make_classes();
  Arena& arena = arenas[index];
  if (!__atomic_load_n(&arena.ready, __ATOMIC_ACQUIRE)) {
    Locked locked(arena.lock);
    if (!arena.ready) {
      map(reinterpret_cast<void*>(arena_base(static_cast<size_t>(index))), kArenaBytes);
      arena.slabs = static_cast<Slab*>(map(nullptr, kSlabs * sizeof(Slab)));
      __atomic_store_n(&arena.ready, true, __ATOMIC_RELEASE);
    }
  }
  return arena;
}

size_t class_for(size_t size, size_t alignment) {
  for (size_t i = 0; i < class_count; ++i)
    if (classes[i] >= size && classes[i] % alignment == 0) return i;
  return class_count;
}

// The slab that the address is in; null outside of all arenas.
Slab* slab_of(uintptr_t address, size_t* arena_index, size_t* slab_index) {
  if (address < kBase || address >= arena_base(kArenas)) return nullptr;
  *arena_index = (address - kBase) / kArenaBytes;
  *slab_index = (address - kBase) % kArenaBytes / kSlabBytes;
  Arena& arena = arenas[*arena_index];
  if (!arena.ready || *slab_index >= arena.slabs_used) return nullptr;
  // A later part of a large block leads back to its first slab.
  while (*slab_index > 0 && arena.slabs[*slab_index].block_bytes == 0) --*slab_index;
  return &arena.slabs[*slab_index];
}

uintptr_t slab_base(size_t arena_index, size_t slab_index) {
  return arena_base(arena_index) + slab_index * kSlabBytes;
}

void carve(Arena& arena, size_t index, size_t cls) {
  if (arena.slabs_used == kSlabs) die("recorder: an arena is full\n");
  Slab& slab = arena.slabs[arena.slabs_used++];
  slab.block_bytes = classes[cls];
  slab.slabs = 1;
  slab.cls = cls;
  const uintptr_t base = slab_base(index, arena.slabs_used - 1);
  const size_t count = kSlabBytes / slab.block_bytes;
  slab.blocks = static_cast<Block*>(metadata(count * sizeof(Block)));
  for (size_t i = count; i-- > 0;) {
    slab.blocks[i].address = base + i * slab.block_bytes;
    slab.blocks[i].next = arena.free[cls];
    arena.free[cls] = &slab.blocks[i];
  }
}

// In steps of an eighth at the most, so that blocks of about one size take each other's place.
size_t slabs_for(size_t size) {
  const size_t wanted = (size + kSlabBytes - 1) / kSlabBytes;
  const size_t step = std::max<size_t>(std::bit_floor(wanted) / 8, 1);
  return (wanted + step - 1) / step * step;
}

void* allocate_large(Arena& arena, size_t index, size_t size, uintptr_t pc) {
  const size_t wanted = slabs_for(size);
  size_t first = kSlabs;
  for (int i = 0; i < arena.large_free_count; ++i) {
    if (arena.slabs[arena.large_free[i]].slabs != wanted) continue;
    first = arena.large_free[i];
    arena.large_free[i] = arena.large_free[--arena.large_free_count];
    break;
  }
  if (first == kSlabs) {
    if (arena.slabs_used + wanted > kSlabs) die("recorder: an arena is full\n");
    first = arena.slabs_used;
    arena.slabs_used += wanted;
    arena.slabs[first].blocks = static_cast<Block*>(metadata(sizeof(Block)));
  }
  Slab& slab = arena.slabs[first];
  slab.slabs = wanted;
  slab.block_bytes = wanted * kSlabBytes;
  slab.blocks->used = true;
  slab.blocks->pc = pc;
  copy_callers(slab.blocks->callers);
  return reinterpret_cast<void*>(slab_base(index, first));
}

void* allocate(size_t size, size_t alignment, uintptr_t pc) {
  const auto index = static_cast<size_t>(own_arena);
  Arena& arena = ready_arena(own_arena);
  if (size == 0) size = 1;
  if (alignment > kSlabBytes || size > kArenaBytes / 2) return nullptr;
  Locked locked(arena.lock);
  const size_t cls = class_for(size, alignment < 16 ? 16 : alignment);
  if (cls == class_count) return allocate_large(arena, index, size, pc);
  if (arena.free[cls] == nullptr) carve(arena, index, cls);
  Block* block = arena.free[cls];
  arena.free[cls] = block->next;
  block->used = true;
  block->pc = pc;
  copy_callers(block->callers);
  return reinterpret_cast<void*>(block->address);
}

void release(void* memory, uintptr_t pc) {
  if (memory == nullptr) return;
  size_t arena_index = 0;
  size_t slab_index = 0;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  Slab* slab = slab_of(address, &arena_index, &slab_index);
  if (slab == nullptr) die("recorder: freed what was never allocated\n");
  const bool foreign = arena_index != static_cast<size_t>(own_arena);
  if (foreign) note(memory, sizeof(void*), Kind::free, pc);
  Arena& arena = arenas[arena_index];
  Locked locked(arena.lock);
  if (slab->block_bytes >= kSlabBytes) {
    if (!slab->blocks->used) die("recorder: freed twice\n");
    slab->blocks->used = false;
    if (arena.large_free_count < kLargeFreeMax) arena.large_free[arena.large_free_count++] = slab_index;
    return;
  }
  Block* block = &slab->blocks[(address - slab_base(arena_index, slab_index)) / slab->block_bytes];
  if (!block->used) die("recorder: freed twice\n");
  block->used = false;
  Block** to = foreign ? &arena.foreign : &arena.free[slab->cls];
  block->next = *to;
  *to = block;
}

size_t usable(void* memory) {
  size_t arena_index = 0;
  size_t slab_index = 0;
  Slab* slab = slab_of(reinterpret_cast<uintptr_t>(memory), &arena_index, &slab_index);
  return slab == nullptr ? 0 : slab->block_bytes;
}

}  // namespace

void set_arena(int arena) { own_arena = arena; }
int arena() { return own_arena; }

bool find_block(uintptr_t address, BlockInfo* info) {
  size_t arena_index = 0;
  size_t slab_index = 0;
  Slab* slab = slab_of(address, &arena_index, &slab_index);
  if (slab == nullptr || slab->block_bytes == 0) return false;
  const uintptr_t base = slab_base(arena_index, slab_index);
  const size_t index = (address - base) / slab->block_bytes;
  if (slab->block_bytes < kSlabBytes && index >= kSlabBytes / slab->block_bytes) return false;
  const Block& block = slab->blocks[slab->block_bytes >= kSlabBytes ? 0 : index];
  info->start = base + index * slab->block_bytes;
  info->size = slab->block_bytes;
  info->pc = block.pc;
  for (int i = 0; i < kCallers; ++i) info->callers[i] = block.callers[i];
  return block.pc != 0;
}

void take_back_freed() {
  for (int i = 0; i < kArenas; ++i) {
    Arena& arena = arenas[i];
    if (!__atomic_load_n(&arena.ready, __ATOMIC_ACQUIRE)) continue;
    Locked locked(arena.lock);
    while (arena.foreign != nullptr) {
      Block* block = arena.foreign;
      arena.foreign = block->next;
      size_t arena_index = 0;
      size_t slab_index = 0;
      Slab* slab = slab_of(block->address, &arena_index, &slab_index);
      Block** to = &arena.free[slab->cls];
      block->next = *to;
      *to = block;
    }
  }
}

}  // namespace scalefs::record::runtime

namespace runtime = scalefs::record::runtime;
#define SCALEFS_PC reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace {
void* allocate_or_null(size_t size, size_t alignment, uintptr_t pc) {
  void* memory = runtime::allocate(size, alignment, pc);
  if (memory == nullptr) errno = ENOMEM;
  return memory;
}
void* allocate_or_throw(size_t size, size_t alignment, uintptr_t pc) {
  void* memory = runtime::allocate(size, alignment, pc);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

extern "C" {
void* malloc(size_t size) { return allocate_or_null(size, 16, SCALEFS_PC); }
void free(void* memory) { runtime::release(memory, SCALEFS_PC); }
void* calloc(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  void* memory = allocate_or_null(bytes, 16, SCALEFS_PC);
  if (memory != nullptr) memset(memory, 0, bytes);
  return memory;
}
void* realloc(void* memory, size_t size) {
  if (memory == nullptr) return allocate_or_null(size, 16, SCALEFS_PC);
  const size_t had = runtime::usable(memory);
  if (size <= had && size > 0) return memory;
  void* larger = allocate_or_null(size, 16, SCALEFS_PC);
  if (larger == nullptr) return nullptr;
  memcpy(larger, memory, had < size ? had : size);
  runtime::release(memory, SCALEFS_PC);
  return larger;
}
void* aligned_alloc(size_t alignment, size_t size) {
  return allocate_or_null(size, alignment, SCALEFS_PC);
}
void* memalign(size_t alignment, size_t size) {
  return allocate_or_null(size, alignment, SCALEFS_PC);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = runtime::allocate(size, alignment, SCALEFS_PC);
  return *memory == nullptr ? ENOMEM : 0;
}
size_t malloc_usable_size(void* memory) { return runtime::usable(memory); }
}  // extern "C"

void* operator new(size_t size) { return allocate_or_throw(size, 16, SCALEFS_PC); }
void* operator new[](size_t size) { return allocate_or_throw(size, 16, SCALEFS_PC); }
void* operator new(size_t size, std::align_val_t a) {
  return allocate_or_throw(size, static_cast<size_t>(a), SCALEFS_PC);
}
void* operator new[](size_t size, std::align_val_t a) {
  return allocate_or_throw(size, static_cast<size_t>(a), SCALEFS_PC);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return runtime::allocate(size, 16, SCALEFS_PC);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return runtime::allocate(size, 16, SCALEFS_PC);
}
void operator delete(void* p) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete[](void* p) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete(void* p, size_t) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete[](void* p, size_t) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete(void* p, std::align_val_t) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete[](void* p, std::align_val_t) noexcept { runtime::release(p, SCALEFS_PC); }
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  runtime::release(p, SCALEFS_PC);
}
void operator delete[](void* p, size_t, std::align_val_t) noexcept {
  runtime::release(p, SCALEFS_PC);
}
