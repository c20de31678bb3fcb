#include "base/bytes.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace scalefs {
namespace {

constexpr size_t kMargin = 16;
constexpr unsigned char kGuard = 0xee;

// A buffer of kGuard whose 8-aligned middle the test works in.
struct Field {
  alignas(8) unsigned char bytes[8192 + 2 * kMargin];
  Field() { std::memset(bytes, kGuard, sizeof bytes); }
  unsigned char* at(size_t offset) { return bytes + kMargin + offset; }
  // All but [offset, offset + size) is untouched.
  bool intact_around(size_t offset, size_t size) const {
    for (size_t i = 0; i < sizeof bytes; ++i) {
      const bool inside = i >= kMargin + offset && i < kMargin + offset + size;
      if (!inside && bytes[i] != kGuard) return false;
    }
    return true;
  }
};

TEST(LoadStoreLe, AnyAlignment) {
  unsigned char bytes[16] = {};
  for (size_t offset = 0; offset < 8; ++offset) {
    store_le<uint64_t>(bytes + offset, 0x0102030405060708ull);
    EXPECT_EQ(bytes[offset], 8);
    EXPECT_EQ(bytes[offset + 7], 1);
    EXPECT_EQ(load_le<uint64_t>(bytes + offset), 0x0102030405060708ull);
    EXPECT_EQ(load_le<uint16_t>(bytes + offset), 0x0708);
    EXPECT_EQ(load_le<int8_t>(bytes + offset), 8);
  }
}

class RacyCopy : public ::testing::Test {
 protected:
  void check(size_t shared_offset, size_t own_offset, size_t size) {
    SCOPED_TRACE(::testing::Message() << "shared offset " << shared_offset << ", own offset "
                                      << own_offset << ", size " << size);
    std::vector<unsigned char> pattern(size);
    for (auto& byte : pattern) byte = static_cast<unsigned char>(random_.next());
    Field shared;
    Field own;
    if (size > 0) std::memcpy(own.at(own_offset), pattern.data(), size);
    racy_store(shared.at(shared_offset), own.at(own_offset), size);
    ASSERT_TRUE(shared.intact_around(shared_offset, size));
    ASSERT_EQ(std::memcmp(shared.at(shared_offset), own.at(own_offset), size), 0);
    Field back;
    racy_load(back.at(own_offset), shared.at(shared_offset), size);
    ASSERT_TRUE(back.intact_around(own_offset, size));
    ASSERT_EQ(std::memcmp(back.at(own_offset), own.at(own_offset), size), 0);
    racy_zero(shared.at(shared_offset), size);
    ASSERT_TRUE(shared.intact_around(shared_offset, size));
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(shared.at(shared_offset)[i], 0);
  }
  Random random_{11};
};

TEST_F(RacyCopy, EveryAlignmentAndSmallSize) {
  for (size_t shared = 0; shared < 8; ++shared)
    for (size_t own = 0; own < 8; ++own)
      for (size_t size = 0; size < 26; ++size) check(shared, own, size);
}

TEST_F(RacyCopy, AroundBlocksAndStretches) {
  for (size_t size : {1016, 1023, 1024, 1025, 1032, 4088, 4095, 4096, 4097, 8000})
    for (size_t shared : {0, 1, 7})
      for (size_t own : {0, 3}) check(shared, own, size);
}

}  // namespace
}  // namespace scalefs
