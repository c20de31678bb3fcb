// Random numbers: a seeded generator for tests and structures (xoshiro256**, Blackman and Vigna,
// 2018), and the system's for keys and UUIDs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace scalefs {

class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t next();
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound);
  // Uniform in [low, high].
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool percent(uint32_t chance) { return below(100) < chance; }

 private:
  uint64_t state_[4];
};

// From getrandom(2); never fails.
void system_random(void* bytes, size_t size);

}  // namespace scalefs
