// CRC32C (Castagnoli, reflected, initial and final xor 0xffffffff) for everything on disk, and
// SipHash-2-4 (Aumasson and Bernstein, 2012) keyed with the volume's secret for directory names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace scalefs {

// CRC32C of `bytes`; pass the result of an earlier call as `seed` to continue it.
uint32_t crc32c(const void* bytes, size_t size, uint32_t seed = 0);
// The same by tables alone: what crc32c() is on machines without the instruction.
uint32_t crc32c_portable(const void* bytes, size_t size, uint32_t seed = 0);

struct HashKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
  friend bool operator==(const HashKey&, const HashKey&) = default;
};
uint64_t siphash24(const HashKey& key, const void* bytes, size_t size);
inline uint64_t siphash24(const HashKey& key, std::string_view text) {
  return siphash24(key, text.data(), text.size());
}

}  // namespace scalefs
