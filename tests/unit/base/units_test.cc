#include "base/units.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

#include "base/core.h"

namespace scalefs {
namespace {

TEST(StrongId, KindsDoNotMix) {
  static_assert(!std::is_convertible_v<MnodeNo, Ino>);
  static_assert(!std::is_convertible_v<uint64_t, Ino>);
  static_assert(!std::is_convertible_v<Ino, uint64_t>);
  EXPECT_FALSE(static_cast<bool>(Ino{}));
  EXPECT_TRUE(static_cast<bool>(kRootIno));
  EXPECT_LT(BlockNo{3}, BlockNo{4});
}

TEST(StrongId, HashesApart) {
  std::unordered_set<MnodeNo> ids;
  for (uint64_t i = 0; i < 1000; ++i) ids.insert(MnodeNo{i << kCoreBits});
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_EQ(ids.count(MnodeNo{5ull << kCoreBits}), 1u);
}

TEST(Units, BlockShiftMatchesItsSize) {
  static_assert(size_t{1} << kBlockShift == kBlockBytes);
  static_assert(kVolumeBytesMin % kBlockBytes == 0 && kFileBytesMax % kBlockBytes == 0);
  static_assert(kVolumeBytesMax / kBlockBytes < (uint64_t{1} << 48));
}

}  // namespace
}  // namespace scalefs
