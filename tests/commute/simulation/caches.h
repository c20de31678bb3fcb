// A model of private caches of unlimited size that are kept coherent by invalidation (MSI), fed with
// recorded accesses. What it counts are the transfers between cores that a machine cannot avoid:
// an access is a remote miss when another core holds the line and this one cannot use its own copy. A line
// that no core has touched before costs nothing here.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "tests/commute/recorder/recorder.h"

namespace scalefs::simulation {

class Caches {
 public:
  // The accesses of one call in their order. `counted` is false while caches only warm up.
  void call(int core, const std::vector<record::Access>& accesses, bool counted);

  struct Line {
    uint64_t misses = 0;
    record::Access example;  // of the last miss
  };
  uint64_t misses() const { return misses_; }
  const std::map<uintptr_t, Line>& missed() const { return missed_; }

 private:
  bool misses(uintptr_t line, int core, bool writes);

  std::unordered_map<uintptr_t, std::bitset<record::kCoresMax>> holders_;
  std::map<uintptr_t, Line> missed_;
  uint64_t misses_ = 0;
};

}  // namespace scalefs::simulation
