// Runs a workload on simulated cores, a call a core in turn, and counts remote misses (caches.h).
//
// Steady state: each core makes kWarmCalls calls first, whose accesses fill the caches and are not
// counted; the shared directory has grown beyond all names before. Maintenance does not run, and the
// clock moves between two rounds of calls. Steps of epochs fall where they fall: with few counted calls a
// core, the figure of a workload that frees objects jumps with the number of cores.
#pragma once

#include <string>
#include <vector>

#include "tests/commute/simulation/caches.h"
#include "tests/commute/simulation/workloads.h"

namespace scalefs::simulation {

inline constexpr int kWarmCalls = 4;
inline constexpr int kCountedCalls = 8;

struct MissedLine {
  uint64_t misses = 0;
  std::string object;  // what it belongs to
  std::string place;   // the source line of the last miss
};

struct Outcome {
  uint64_t calls = 0;
  uint64_t misses = 0;
  std::vector<MissedLine> lines;  // most misses first
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
