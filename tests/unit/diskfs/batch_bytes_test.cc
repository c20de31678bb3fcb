// The bytes of a batch: what is added comes back, through growth, copies and moves, framed for the journal.
#include "diskfs/batch_bytes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/random.h"
#include "diskfs/journal_format.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

bool holds(const BatchBytes& bytes, const std::vector<std::byte>& expected) {
  return bytes.size() == expected.size() && std::ranges::equal(bytes.payload(), expected);
}

TEST(BatchBytes, HoldsWhatWasAdded) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(50); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    BatchBytes bytes;
    std::vector<std::byte> expected;
    for (int i = 0; i < 100; ++i) {
      if (random.percent(10)) bytes.reserve(random.below(3 * kBlockBytes));
      for (std::byte& b : bytes.extend(random.below(random.percent(10) ? 2 * kBlockBytes : 30))) {
        b = static_cast<std::byte>(random.next());
        expected.push_back(b);
      }
      ASSERT_TRUE(holds(bytes, expected));
      if (random.percent(5)) {
        const Bytes blocks = bytes.framed();
        ASSERT_EQ(blocks.size(), batch_blocks(expected.size()) * kBlockBytes);
        ASSERT_EQ(reinterpret_cast<uintptr_t>(blocks.data()) % kBlockBytes, 0u);
        std::ranges::fill(blocks.first(kBatchHeaderBytes), std::byte{0xff});
        const Bytes behind = blocks.subspan(kBatchHeaderBytes + expected.size());
        ASSERT_TRUE(std::ranges::all_of(behind, [](std::byte b) { return b == std::byte{0}; }));
        ASSERT_TRUE(holds(bytes, expected));
      }
      if (random.percent(5)) bytes = BatchBytes(std::as_const(bytes));
      if (random.percent(5)) bytes = std::exchange(bytes, {});
      ASSERT_GE(bytes.memory_bytes(), bytes.size() == 0 ? 0 : kBatchHeaderBytes + bytes.size());
    }
    bytes.clear();
    EXPECT_TRUE(holds(bytes, {}));
  }
}

TEST(BatchBytes, WhatWasReservedIsNotMoved) {
  BatchBytes bytes;
  bytes.reserve(10 * kBlockBytes);
  const std::byte* const first = bytes.extend(1).data();
  (void)bytes.extend(10 * kBlockBytes - 1);
  EXPECT_EQ(bytes.payload().data(), first);
}

TEST(BatchBytes, WhatWasPreparedHoldsWhatItHeld) {
  BatchBytes bytes;
  std::ranges::fill(bytes.extend(100), std::byte{7});
  bytes.prepare(3 * kBlockBytes);
  EXPECT_TRUE(holds(bytes, std::vector<std::byte>(100, std::byte{7})));
  const std::byte* const first = bytes.payload().data();
  (void)bytes.extend(3 * kBlockBytes - 100);
  EXPECT_EQ(bytes.payload().data(), first);
}

TEST(BatchBytes, ACopyIsItsOwn) {
  BatchBytes one;
  one.extend(1)[0] = std::byte{1};
  BatchBytes other = one;
  other.extend(1)[0] = std::byte{2};
  EXPECT_EQ(one.size(), 1u);
  EXPECT_EQ(other.size(), 2u);
  EXPECT_NE(one.payload().data(), other.payload().data());
  BatchBytes moved = std::move(other);
  EXPECT_EQ(moved.size(), 2u);
  EXPECT_TRUE(BatchBytes(std::move(moved)).payload().size() == 2);
}

TEST(BatchBytes, AnEmptyBatchIsABlock) {
  BatchBytes bytes;
  EXPECT_TRUE(bytes.payload().empty());
  EXPECT_EQ(bytes.framed().size(), kBlockBytes);
}

}  // namespace
}  // namespace scalefs::diskfs
