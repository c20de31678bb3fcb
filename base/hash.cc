#include "base/hash.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/bytes.h"

#if defined(__SSE4_2__) && defined(__x86_64__)
#define SCALEFS_CRC_INSTRUCTION 1
#include <nmmintrin.h>
#endif

namespace scalefs {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

using Table = std::array<std::array<uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the remainder when k bytes follow it in the same step.
constexpr Table make_tables() {
  Table tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t remainder = b;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? kPolynomial : 0);
    tables[0][b] = remainder;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      const uint32_t before = tables[k - 1][b];
      tables[k][b] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr Table kTables = make_tables();

#ifdef SCALEFS_CRC_INSTRUCTION

// The instruction has a latency of three cycles and starts one a cycle, so three lanes run side by
// side; a lane's remainder is moved over the bytes that follow it by a linear map of GF(2)^32.
// 1360 = a third of a block, rounded down to words.
constexpr size_t kLongLaneBytes = 1360;
constexpr size_t kShortLaneBytes = 168;

using Matrix = std::array<uint32_t, 32>;  // column i is the image of bit i

constexpr uint32_t times(const Matrix& matrix, uint32_t vector) {
  uint32_t sum = 0;
  for (size_t i = 0; vector != 0; ++i, vector >>= 1)
    if ((vector & 1) != 0) sum ^= matrix[i];
  return sum;
}
constexpr Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix product{};
  for (size_t i = 0; i < 32; ++i) product[i] = times(a, b[i]);
  return product;
}

using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

// The map "append `bytes` zero bytes", as four tables by byte of the remainder.
constexpr ShiftTable make_shift(size_t bytes) {
  Matrix square{};  // one zero bit, then doubled
  square[0] = kPolynomial;
  for (size_t i = 1; i < 32; ++i) square[i] = uint32_t{1} << (i - 1);
  Matrix power{};
  for (size_t i = 0; i < 32; ++i) power[i] = uint32_t{1} << i;
  for (size_t bits = bytes * 8; bits != 0; bits >>= 1) {
    if ((bits & 1) != 0) power = multiply(square, power);
    square = multiply(square, square);
  }
  ShiftTable table{};
  for (uint32_t k = 0; k < 4; ++k)
    for (uint32_t b = 0; b < 256; ++b) table[k][b] = times(power, b << (8 * k));
  return table;
}
constexpr ShiftTable kLongShift = make_shift(kLongLaneBytes);
constexpr ShiftTable kShortShift = make_shift(kShortLaneBytes);

uint32_t shift(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^
         table[3][crc >> 24];
}

// Takes groups of three lanes off the front of [from, from + size).
template <size_t kLaneBytes>
uint64_t three_lanes(uint64_t crc, const unsigned char*& from, size_t& size,
                     const ShiftTable& table) {
  while (size >= 3 * kLaneBytes) {
    uint64_t a = crc;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t i = 0; i < kLaneBytes; i += 8) {
      a = _mm_crc32_u64(a, load_le<uint64_t>(from + i));
      b = _mm_crc32_u64(b, load_le<uint64_t>(from + kLaneBytes + i));
      c = _mm_crc32_u64(c, load_le<uint64_t>(from + 2 * kLaneBytes + i));
    }
    const uint32_t ab = shift(table, static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
    crc = shift(table, ab) ^ static_cast<uint32_t>(c);
    from += 3 * kLaneBytes;
    size -= 3 * kLaneBytes;
  }
  return crc;
}

#endif  // SCALEFS_CRC_INSTRUCTION

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

uint32_t crc32c_portable(const void* bytes, size_t size, uint32_t seed) {
  const auto* from = static_cast<const unsigned char*>(bytes);
  uint32_t crc = ~seed;
  for (; size >= 8; size -= 8, from += 8) {
    const uint64_t word = load_le<uint64_t>(from) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; size > 0; --size, ++from) crc = (crc >> 8) ^ kTables[0][(crc ^ *from) & 0xff];
  return ~crc;
}

uint32_t crc32c(const void* bytes, size_t size, uint32_t seed) {
#ifdef SCALEFS_CRC_INSTRUCTION
  const auto* from = static_cast<const unsigned char*>(bytes);
  uint64_t crc = ~seed;
  crc = three_lanes<kLongLaneBytes>(crc, from, size, kLongShift);
  crc = three_lanes<kShortLaneBytes>(crc, from, size, kShortShift);
  for (; size >= 8; size -= 8, from += 8) crc = _mm_crc32_u64(crc, load_le<uint64_t>(from));
  auto rest = static_cast<uint32_t>(crc);
  for (; size > 0; --size, ++from) rest = _mm_crc32_u8(rest, *from);
  return ~rest;
#else
  return crc32c_portable(bytes, size, seed);
#endif
}

uint64_t siphash24(const HashKey& key, const void* bytes, size_t size) {
  // The four constants are "somepseudorandomlygeneratedbytes".
  SipState state{key.k0 ^ 0x736f6d6570736575ull, key.k1 ^ 0x646f72616e646f6dull,
                 key.k0 ^ 0x6c7967656e657261ull, key.k1 ^ 0x7465646279746573ull};
  const auto* from = static_cast<const unsigned char*>(bytes);
  size_t left = size;
  for (; left >= 8; left -= 8, from += 8) state.absorb(load_le<uint64_t>(from));
  uint64_t last = static_cast<uint64_t>(size) << 56;
  for (size_t i = 0; i < left; ++i) last |= static_cast<uint64_t>(from[i]) << (8 * i);
  state.absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace scalefs
