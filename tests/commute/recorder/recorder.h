// The recorder: who touched which memory. The rooms' _record variants are compiled with
// -fsanitize=thread, which puts a call before every load, store and atomic; this run-time answers
// those calls (no thread sanitizer is linked) and writes them down for the simulated core that
// runs.
//
// What is recorded: loads, stores, atomics and ranges of instrumented code; memory functions, the
// red-black tree of the standard library, and the words of its locks and condition variables, by
// link-time wrapping (a shared lock taken for reading is a write, as it is in hardware); memory
// that another core allocated and this one frees, as a write of its line. The allocator is the
// recorder's own: an arena a core, so that cores share no line by its doing, at fixed addresses, so
// that a run repeats. What else the engine calls is on a reviewed list
// (tests/commute/base/symbols.txt).
//
// What is not: an aggregate that a function returns by value into memory at once (gcc instruments
// no result of a call); loads and stores that the compiler made inside its own expansion of such a
// copy.
//
// Cores are real threads, one each, that run one at a time (run_on), so that what is thread-local
// is a core's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/commute/recorder/access.h"

namespace scalefs::record {

inline constexpr uintptr_t kLineBytes = 64;
inline constexpr int kCoresMax = 130;

// Runs `body` on the thread of simulated core `core`, whose core slot is that number, and waits for
// its end.
void run_on(int core, const std::function<void()>& body);

// From here to stop() the calling thread's accesses are written down for `core`, added to what is
// there.
void start(int core);
void stop();
// Forgets what all cores did. Also gives memory that was freed by another core back to its owner.
void clear();

// Distinct accesses (address, size, kind and place) since clear(), in order of their first time.
std::vector<Access> accesses(int core);

struct Conflict {
  uintptr_t line = 0;  // its first byte
  Access a, b;         // by the two cores; at least one writes; the same bytes where there are such
  bool same_bytes = false;
};
// Lines that both touched and at least one wrote, by address.
std::vector<Conflict> conflicts(int core_a, int core_b);

// "file:line function" of the innermost line in the project's sources, the callers' behind it.
std::string describe(const Access& access);
// The block (size, where it was allocated, offset) or the variable that the address is in.
std::string describe_address(uintptr_t address);
// Place alone, without callers: what lists of exceptions name.
std::string place_of(const Access& access);
// As describe_address without offset.
std::string object_of(uintptr_t address);
std::string name_of(const BlockInfo& block);
// Looks the places of many accesses and their callers up at once, which is much quicker.
void prefetch(const std::vector<Access>& accesses);

}  // namespace scalefs::record
