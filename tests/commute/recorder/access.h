// One recorded access, and what the parts of the run-time share. No standard containers here: the
// run-time is not instrumented, and must not lend uninstrumented templates to code that is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace scalefs::record {

enum class Kind : uint8_t { read, write, atomic_read, atomic_write, lock, free };

inline constexpr int kCallers = 4;

struct Access {
  uintptr_t address = 0;
  uint32_t size = 0;
  Kind kind = Kind::read;
  uintptr_t pc = 0;                  // behind the access
  uintptr_t callers[kCallers] = {};  // return addresses, innermost first; 0 where there are none

  bool writes() const { return kind != Kind::read && kind != Kind::atomic_read; }
};

// Where a block came from.
struct BlockInfo {
  uintptr_t start = 0;
  size_t size = 0;   // of its class
  uintptr_t pc = 0;  // of the call of the allocator
  uintptr_t callers[kCallers] = {};
};

namespace runtime {

// Adds an access of the calling thread when it records.
void note(const void* address, size_t size, Kind kind, uintptr_t pc);
bool recording();
// The calling thread's frames, innermost first.
void copy_callers(uintptr_t to[kCallers]);
void push_frame(uintptr_t pc);
void pop_frame();
void reset_frames();

const Access* list(int core, size_t* count);
void start(int core);
void stop();
void clear();

// The arena that the calling thread allocates from; 0 is that of all threads that are no core.
void set_arena(int arena);
int arena();
// False when the address is in no block that is in use.
bool find_block(uintptr_t address, BlockInfo* info);
void take_back_freed();

}  // namespace runtime
}  // namespace scalefs::record
