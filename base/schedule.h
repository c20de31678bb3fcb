// The seeded scheduler of the schedule build (SCALEFS_SCHEDULE defined): real threads that run one
// at a time; at every access to an Atomic, a lock or a clock the scheduler may hand the processor
// to another one, chosen from a seed. A run is a function of its seed. Deadlock (every thread
// blocked) is reported as a check failure with the seed. Threads that were not started through
// run() pass all points freely, so the same binary can hold ordinary tests too. Such a thread must
// not hold a lock that a thread of a run may want, for its unlock can be missed.
// Body i starts with core slot i % core_count(). Runs do not nest and are one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace scalefs::schedule {

// Runs the bodies to their end, one thread each, interleaved by `seed`. `switch_percent` is the
// chance of a switch at a point. Aborts, naming the seed, on deadlock or after `steps_max` points.
struct Options {
  uint64_t seed = 1;
  int switch_percent = 30;
  uint64_t steps_max = 5'000'000;
};
void run(const Options& options, const std::vector<std::function<void()>>& bodies);

void point();                         // a place where the scheduler may switch
void block_on(const void* resource);  // the caller cannot go on until unblock(resource)
void unblock(const void* resource);   // wakes all who are blocked on it
void yield();                         // switches, when another thread can run
bool active();                        // the caller runs under the scheduler
// A seeded choice in [0, bound), for time-outs and for what a test body leaves to chance. Only when
// active().
uint64_t choose(uint64_t bound);
// Virtual time: points passed so far, divided by 4 so that two clock readings can be equal. All
// clocks of base/clock.h read it when active(), so that a run does not depend on real time.
uint64_t ticks();
// The seed of the run that is going on, 0 when none is.
uint64_t running_seed();

}  // namespace scalefs::schedule
