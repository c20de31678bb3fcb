#include "memfs/overlay.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "tests/support/seeds.h"

namespace scalefs::memfs {
namespace {

using Kind = Overlay::Kind;

TEST(Overlay, EmptyAnswersNothing) {
  Overlay overlay;
  EXPECT_FALSE(overlay.at(0).has_value());
  EXPECT_EQ(overlay.same_until(5), Overlay::kEnd);
}

TEST(Overlay, TheLastWordCounts) {
  Overlay overlay;
  overlay.set_unwritten(0, 100);
  overlay.set_hole(10, 20, 2);
  EXPECT_EQ(overlay.at(9), Kind::unwritten);
  EXPECT_EQ(overlay.at(10), Kind::hole);
  EXPECT_EQ(overlay.at(19), Kind::hole);
  EXPECT_EQ(overlay.at(20), Kind::unwritten);
  EXPECT_EQ(overlay.same_until(0), 10u);
  EXPECT_EQ(overlay.same_until(12), 20u);
  EXPECT_FALSE(overlay.at(100).has_value());
  overlay.set_unwritten(5, 15);
  EXPECT_EQ(overlay.same_until(0), 15u);
}

TEST(Overlay, UnwrittenOutlivesTheCheckpoint) {
  Overlay overlay;
  overlay.set_hole(0, 10, 1);
  overlay.set_unwritten(4, 6);
  overlay.purge(UINT64_MAX - 1);
  EXPECT_FALSE(overlay.at(3).has_value());
  EXPECT_EQ(overlay.at(4), Kind::unwritten);
}

TEST(Overlay, NeighboursOfAKindAreJoined) {
  Overlay overlay;
  for (uint64_t i = 0; i < 100; ++i) overlay.set_hole(i * 2, i * 2 + 2, i + 1);
  EXPECT_EQ(overlay.size(), 1u);
  overlay.purge(99);
  EXPECT_EQ(overlay.at(0), Kind::hole) << "kept by the youngest of those that it was joined with";
  overlay.purge(100);
  EXPECT_TRUE(overlay.empty());
}

TEST(Overlay, UnsettledStaysUntilSettled) {
  Overlay overlay;
  overlay.set_hole(0, Overlay::kEnd, Overlay::kUnsettled);
  overlay.purge(1000);
  EXPECT_EQ(overlay.at(7), Kind::hole);
  overlay.settle(1001);
  overlay.purge(1000);
  EXPECT_EQ(overlay.at(7), Kind::hole);
  overlay.purge(1001);
  EXPECT_FALSE(overlay.at(7).has_value());
}

TEST(Overlay, RandomAgainstAMapOfPages) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(50); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Random random(seed);
    Overlay overlay;
    std::map<uint64_t, Kind> model;
    constexpr uint64_t kPages = 64;
    for (int step = 0; step < 200; ++step) {
      const uint64_t from = random.below(kPages);
      const uint64_t to = from + random.below(kPages - from + 1);
      switch (random.below(3)) {
        case 0:
          overlay.set_hole(from, to, 1);
          for (uint64_t p = from; p < to; ++p) model[p] = Kind::hole;
          break;
        case 1:
          overlay.set_unwritten(from, to);
          for (uint64_t p = from; p < to; ++p) model[p] = Kind::unwritten;
          break;
        default:
          overlay.forget(from, to);
          for (uint64_t p = from; p < to; ++p) model.erase(p);
      }
      for (uint64_t p = 0; p < kPages; ++p) {
        const auto it = model.find(p);
        const std::optional<Kind> want =
            it == model.end() ? std::nullopt : std::optional<Kind>(it->second);
        ASSERT_EQ(overlay.at(p), want) << "page " << p << " step " << step;
        ASSERT_GT(overlay.same_until(p), p);
        for (uint64_t q = p; q < std::min(kPages, overlay.same_until(p)); ++q)
          ASSERT_EQ(overlay.at(q), want);
      }
    }
  }
}

}  // namespace
}  // namespace scalefs::memfs
