// Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004, section 5.2.3). Readers of a
// lock-free structure hold an EpochGuard; whoever unlinks an object hands it to retire(), and it is
// freed once every guard that could see it has ended. Readers write only a line of their own.
//
// Protocol: a guard publishes the global epoch in its thread's record, with a full fence so that
// the record is visible before any read of the structure, and clears it at the end (release).
// try_advance() moves the global epoch from e to e+1 when every active record holds e. retire()
// passes a full fence after the caller's unlinking and then reads the epoch e; the object is freed
// once the epoch is e+2 (why that is enough: epoch.cc). Guards nest. A guard never spans I/O, a
// wait, or a copy from or to a caller's memory (P6).
//
// Costs: a guard writes one line of the thread's own and passes one fence; retire() writes that
// thread's own list. Every kRetiresAStep-th retire() of a thread frees what may be freed, and looks at
// the others' records only if the epoch has not moved since the thread's last such step: one thread's
// look serves all. So while N threads retire, N * kRetiresAStep objects bring one look: three lines a
// thread that travel (its record to the looker and back, the epoch to it), whatever N is 3 /
// kRetiresAStep an object. A look that finds a reader in its way stops there and goes on from there
// at the next step. Waiting to be freed: four times kRetiresAStep objects a thread.
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

// How many retire() calls of one thread bring one step.
inline constexpr uint32_t kRetiresAStep = 256;

// Frees `object` with `deleter` once no guard that began before this call is left. Never frees this
// object in the call itself, but may free older ones of the same thread. A deleter runs outside of
// any guard and lock of this module, may retire() more, and must not drain(). When there is no
// memory to remember the object it is leaked, for waiting could deadlock.
void retire(void* object, void (*deleter)(void*));

template <class T>
void retire(T* object) {
  retire(static_cast<void*>(object), [](void* p) { delete static_cast<T*>(p); });
}

// One step: advances the epoch if all readers allow it and frees what became free, of all threads.
// True when it advanced. The caller may hold a guard.
bool try_advance();
// Steps until everything retired so far is freed, and what its deleters retired in turn. The caller
// holds no guard; others' guards end.
void drain();
// Objects retired and not yet freed; exact when nothing else runs.
size_t pending();
#ifdef SCALEFS_SCHEDULE
// The test of the tests: objects are freed one epoch too early.
extern bool one_period_canary;
#endif
// The calling thread holds a guard (for assertions: no I/O inside).
bool in_guard();

}  // namespace epoch
}  // namespace scalefs
