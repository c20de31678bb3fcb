// Runs a workload on simulated cores, a call a core in turn, and counts remote misses (caches.h).
//
// Steady state: each core makes kWarmCalls calls first, whose accesses fill the caches and are not
// counted; the shared directory has grown beyond all names before, to the same number of buckets a core on
// any number of cores. Maintenance does not run, and the clock moves between two rounds of calls.
// Workloads that free objects, or use up what is refilled, make so many counted calls that each core
// takes a step of the epoch among them, which thus costs a call what it costs in the long run.
#pragma once

#include <string>
#include <vector>

#include "tests/commute/simulation/caches.h"
#include "tests/commute/simulation/workloads.h"

namespace scalefs::simulation {

inline constexpr int kWarmCalls = 16;

struct MissedLine {
  uint64_t misses = 0;
  std::string object;  // what it belongs to
  std::string place;   // the source line of the last miss
};

struct Outcome {
  uint64_t calls = 0;
  uint64_t misses = 0;
  std::vector<MissedLine> lines;  // most misses first
  // Another run of the same.
  void add(const Outcome& other);
  double misses_a_call() const { return static_cast<double>(misses) / static_cast<double>(calls); }
  // The worst line's part of all misses.
  double worst_share() const;
};

enum class On { memory, disk };

// `cores` at most record::kCoresMax - 2.
Outcome simulate(const Workload& workload, On on, int cores);

// The table and picture of misses a call: a row or curve a workload, a column a number of cores.
struct Row {
  std::string name;
  std::vector<Outcome> outcomes;  // one a number of cores
};
std::string table(const std::vector<int>& cores, const std::vector<Row>& rows);
std::string picture(const std::vector<int>& cores, const std::vector<Row>& rows);

}  // namespace scalefs::simulation
