// The two clocks. cycle_now() orders operations (I2): rdtscp where the time-stamp counter is
// synchronised (constant_tsc, nonstop_tsc, clocksource tsc), else one shared counter (then I1 does
// not hold for stamps, which a daemon says once). wall_ns() is what users see in time stamps.
// Both can be faked: a skew a core for cycle_now, a fixed value for wall_ns. Under the seeded
// scheduler all of them read its virtual time.
#pragma once

#include <cstdint>

namespace scalefs {

// Cycles, or ticks of the shared counter. Never 0. Not monotone across cores: oplog makes it so.
uint64_t cycle_now();
// True when cycle_now() reads the time-stamp counter.
bool cycle_is_tsc();
// For how long something takes, and not for an order: cycles where cycle_is_tsc(), else nanoseconds of CLOCK_MONOTONIC,
// which is cheap too where the counter is not trusted, and writes nothing that cores share.
uint64_t interval_now();
// Adds `skew` to what cycle_now() returns on the given core slot (tests; 0 takes it back).
void set_cycle_skew_for_test(uint32_t core, int64_t skew);
// Replaces rdtscp by the shared counter (tests of that path).
void use_shared_counter_for_test(bool on);
// Reads the time-stamp counter also where it is not known to be synchronised: for tests whose cores run one at a time
// and that ask what cores share on a machine where it is. Not where use_shared_counter_for_test() is on.
void use_tsc_for_test(bool on);

// Nanoseconds since 1970 (CLOCK_REALTIME).
int64_t wall_ns();
// A coarse and cheap variant for time stamps of files (CLOCK_REALTIME_COARSE, some ms of grain).
int64_t wall_coarse_ns();
// From now on wall_ns and wall_coarse_ns return `ns`; a negative value takes it back (tests).
void set_wall_for_test(int64_t ns);
// Each reading of that time moves it on by `ns` (tests; 0 takes it back).
void step_wall_for_test(int64_t ns);

// Milliseconds, microseconds of a monotonic clock, for periods and time-outs.
uint64_t monotonic_ms();
uint64_t monotonic_us();

}  // namespace scalefs
