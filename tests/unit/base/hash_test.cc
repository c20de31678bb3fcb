#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace scalefs {
namespace {

// Bit by bit from the definition, to have something to compare with that shares no table.
uint32_t crc32c_by_bits(const std::vector<uint8_t>& bytes) {
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

std::vector<uint8_t> random_bytes(Random& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  return bytes;
}

// RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRCs.
TEST(Crc32c, KnownAnswers) {
  struct Case {
    std::vector<uint8_t> bytes;
    uint32_t crc;
  };
  std::vector<uint8_t> up(32);
  std::vector<uint8_t> down(32);
  for (size_t i = 0; i < 32; ++i) up[i] = down[31 - i] = static_cast<uint8_t>(i);
  const std::string digits = "123456789";
  const Case cases[] = {
      {{}, 0},
      {{digits.begin(), digits.end()}, 0xe3069283},
      {std::vector<uint8_t>(32, 0), 0x8a9136aa},
      {std::vector<uint8_t>(32, 0xff), 0x62a8ab43},
      {up, 0x46dd794e},
      {down, 0x113fdb5c},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(crc32c(c.bytes.data(), c.bytes.size()), c.crc);
    EXPECT_EQ(crc32c_portable(c.bytes.data(), c.bytes.size()), c.crc);
    EXPECT_EQ(crc32c_by_bits(c.bytes), c.crc);
  }
}

// Sizes around every boundary of the lanes (168 and 1360 bytes, three of each) and a block.
TEST(Crc32c, EverySizeAgreesWithTheDefinition) {
  Random random(7);
  const size_t sizes[] = {1,    2,    7,    8,    9,    63,   503,  504,   505,   511,
                          512,  513,  1007, 1008, 1009, 1360, 4079, 4080,  4081,  4095,
                          4096, 4097, 4583, 4584, 8159, 8160, 8192, 12288, 65536, 65543};
  for (size_t size : sizes) {
    const auto bytes = random_bytes(random, size);
    const uint32_t expected = crc32c_by_bits(bytes);
    EXPECT_EQ(crc32c(bytes.data(), size), expected) << size;
    EXPECT_EQ(crc32c_portable(bytes.data(), size), expected) << size;
  }
}

TEST(Crc32c, ContinuesFromASeedAtEverySplit) {
  Random random(8);
  const auto bytes = random_bytes(random, 5000);
  const uint32_t whole = crc32c(bytes.data(), bytes.size());
  for (size_t split = 0; split <= bytes.size(); split += 37) {
    const uint32_t first = crc32c(bytes.data(), split);
    EXPECT_EQ(crc32c(bytes.data() + split, bytes.size() - split, first), whole) << split;
    const uint32_t by_table = crc32c_portable(bytes.data(), split);
    EXPECT_EQ(crc32c_portable(bytes.data() + split, bytes.size() - split, by_table), whole);
  }
}

TEST(Crc32c, EveryAlignment) {
  Random random(9);
  const auto bytes = random_bytes(random, 4096 + 16);
  for (size_t offset = 0; offset < 16; ++offset) {
    const std::vector<uint8_t> part(bytes.begin() + static_cast<ptrdiff_t>(offset),
                                    bytes.begin() + static_cast<ptrdiff_t>(offset) + 4096);
    EXPECT_EQ(crc32c(bytes.data() + offset, 4096), crc32c_by_bits(part));
  }
}

TEST(Crc32c, FindsEverySingleFlippedBitOfABlock) {
  std::vector<uint8_t> block(4096, 0x5a);
  const uint32_t good = crc32c(block.data(), block.size());
  for (size_t bit = 0; bit < block.size() * 8; bit += 61) {
    block[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    ASSERT_NE(crc32c(block.data(), block.size()), good) << bit;
    block[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  }
}

// The vectors of the authors' reference program: key 00..0f, input 00..n-1.
TEST(SipHash24, ReferenceVectors) {
  const HashKey key{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
  const uint64_t expected[] = {0x726fdb47dd0e0e31ull, 0x74f839c593dc67fdull, 0x0d6c8009d9a94f5aull,
                               0x85676696d7fb7e2dull, 0xcf2794e0277187b7ull, 0x18765564cd99a68dull,
                               0xcbc9466e58fee3ceull, 0xab0200f58b01d137ull, 0x93f5f5799a932462ull};
  uint8_t input[16];
  for (size_t i = 0; i < sizeof input; ++i) input[i] = static_cast<uint8_t>(i);
  for (size_t size = 0; size < std::size(expected); ++size)
    EXPECT_EQ(siphash24(key, input, size), expected[size]) << size;
  EXPECT_EQ(siphash24(key, input, 15), 0xa129ca6149be45e5ull);
}

TEST(SipHash24, DependsOnBothHalvesOfTheKey) {
  const uint64_t hash = siphash24({1, 2}, "name");
  EXPECT_EQ(siphash24({1, 2}, "name"), hash);
  EXPECT_NE(siphash24({3, 2}, "name"), hash);
  EXPECT_NE(siphash24({1, 3}, "name"), hash);
}

}  // namespace
}  // namespace scalefs
