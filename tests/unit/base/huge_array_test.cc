#include "base/huge_array.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "base/atomic.h"

namespace scalefs {
namespace {

int alive = 0;
struct alignas(128) Counted {
  Counted() { ++alive; }
  ~Counted() { --alive; }
  uint64_t word = 0;
};

TEST(HugeArray, BuildsAndEndsEachItem) {
  {
    const HugeArray<Counted> array(1000);
    EXPECT_EQ(alive, 1000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&array[0]) % 128, 0u);
    array[999].word = 7;
    EXPECT_EQ(array[999].word, 7u);
    EXPECT_EQ(array[998].word, 0u);
  }
  EXPECT_EQ(alive, 0);
}

TEST(HugeArray, ABigOneStandsOnPagesOfItsOwnAndIsZero) {
  const size_t count = HugeArray<Atomic<uint64_t>>::kBigBytes / 8 + 1;
  for (int again = 0; again < 2; ++again) {  // also in memory that was used before
    const HugeArray<Atomic<uint64_t>> array(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&array[0]) % 4096, 0u);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) sum += array[i].load(relaxed);
    EXPECT_EQ(sum, 0u);
    for (size_t i = 0; i < count; i += 100) array[i].store(~uint64_t{0}, relaxed);
  }
}

}  // namespace
}  // namespace scalefs
