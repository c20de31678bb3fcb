#include "base/random.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>

#include "base/check.h"

namespace scalefs {
namespace {

// splitmix64 (Steele, Lea and Flood, 2014): spreads a seed over the state, which must not be all 0.
uint64_t split_mix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = split_mix(seed);
}

uint64_t Random::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

// Multiply and reject (Lemire, "Fast random integer generation in an interval", 2019).
uint64_t Random::below(uint64_t bound) {
  SCALEFS_CHECK(bound > 0);
  using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t reject_below = -bound % bound;
    while (static_cast<uint64_t>(product) < reject_below)
      product = static_cast<Wide>(next()) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

void system_random(void* bytes, size_t size) {
  auto* to = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::getrandom(to, size, 0);
    if (got < 0) {
      SCALEFS_CHECK(errno == EINTR);
      continue;
    }
    to += got;
    size -= static_cast<size_t>(got);
  }
}

}  // namespace scalefs
