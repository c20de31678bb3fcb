// The list of accesses of each core, and the frames of each thread. Not instrumented.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/commute/recorder/access.h"

namespace scalefs::record::runtime {
namespace {

constexpr int kLists = 130;
constexpr size_t kAccessesMax = size_t{1} << 19;
constexpr size_t kSlots = size_t{1} << 20;  // of the table that finds repetitions
constexpr int kFramesMax = 512;

struct Slot {
  uint64_t generation;
  uint32_t index;
};
struct List {
  Access* accesses;
  Slot* slots;
  size_t count;
};

List lists[kLists];
uint64_t generation = 1;

__thread int recorded_core = -1;
__thread int depth = 0;
__thread uintptr_t frames[kFramesMax];

void* map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    fputs("recorder: no memory\n", stderr);
    abort();
  }
  return memory;
}

uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0x9e3779b97f4a7c15ull;
  return x ^ (x >> 29);
}

}  // namespace

bool recording() { return recorded_core >= 0; }

void copy_callers(uintptr_t to[kCallers]) {
  for (int i = 0; i < kCallers; ++i) {
    const int at = depth - 1 - i;
    to[i] = at >= 0 && at < kFramesMax ? frames[at] : 0;
  }
}

void push_frame(uintptr_t pc) {
  if (depth < kFramesMax) frames[depth] = pc;
  ++depth;
}
void pop_frame() {
  if (depth > 0) --depth;
}
void reset_frames() { depth = 0; }

void note(const void* address, size_t size, Kind kind, uintptr_t pc) {
  const int core = recorded_core;
  if (core < 0 || size == 0) return;
  List& list = lists[core];
  const auto at = reinterpret_cast<uintptr_t>(address);
  uint64_t slot = mix(mix(at * 31 + pc) + size * 7 + static_cast<uint64_t>(kind)) % kSlots;
  for (;; slot = (slot + 1) % kSlots) {
    Slot& s = list.slots[slot];
    if (s.generation != generation) break;
    const Access& known = list.accesses[s.index];
    if (known.address == at && known.pc == pc && known.size == size && known.kind == kind) return;
  }
  if (list.count == kAccessesMax) {
    recorded_core = -1;
    fputs("recorder: a call made too many different accesses\n", stderr);
    abort();
  }
  list.slots[slot].generation = generation;
  list.slots[slot].index = static_cast<uint32_t>(list.count);
  Access& access = list.accesses[list.count++];
  access.address = at;
  access.size = static_cast<uint32_t>(size);
  access.kind = kind;
  access.pc = pc;
  copy_callers(access.callers);
}

const Access* list(int core, size_t* count) {
  *count = lists[core].count;
  return lists[core].accesses;
}

void start(int core) {
  if (core < 0 || core >= kLists) abort();
  List& list = lists[core];
  if (list.accesses == nullptr) {
    list.accesses = static_cast<Access*>(map(kAccessesMax * sizeof(Access)));
    list.slots = static_cast<Slot*>(map(kSlots * sizeof(Slot)));
  }
  recorded_core = core;
}

void stop() { recorded_core = -1; }

void clear() {
  ++generation;
  for (List& list : lists) list.count = 0;
  take_back_freed();
}

}  // namespace scalefs::record::runtime
