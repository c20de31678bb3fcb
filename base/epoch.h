// Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004, section 5.2.3). Readers of a
// lock-free structure hold an EpochGuard; whoever unlinks an object hands it to retire(), and it is
// freed once every guard that could see it has ended. Readers write only a line of their own.
//
// Protocol: a guard publishes the global epoch in its thread's record (seq_cst, so that the record
// is visible before any read of the structure) and clears it at the end. try_advance() moves the
// global epoch from e to e+1 when every active record holds e; what was retired in epoch e is freed
// at e+2. Guards nest. A guard never spans I/O, a wait, or a copy from or to a caller's memory (P6).
// try_advance is a step function: threads only call it, so a single-threaded test drives it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace scalefs {

class EpochGuard {
 public:
  EpochGuard();
  ~EpochGuard();
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;
};

namespace epoch {

// Frees `object` with `deleter` once no guard that began before this call is left. Does not free
// in the call itself. Amortised: now and then it also calls try_advance.
void retire(void* object, void (*deleter)(void*));

template <class T>
void retire(T* object) {
  retire(static_cast<void*>(object), [](void* p) { delete static_cast<T*>(p); });
}

// One step: advances the epoch if all readers allow it and frees what became free. True when it
// advanced.
bool try_advance();
// Steps until everything retired so far is freed. The caller holds no guard; others' guards end.
void drain();
// Objects retired and not yet freed.
size_t pending();
// The calling thread holds a guard (for assertions: no I/O inside).
bool in_guard();

}  // namespace epoch
}  // namespace scalefs
