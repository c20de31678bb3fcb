// Power cuts after every write of random histories of DiskFs (tests/crash/explorer/disk_cuts.h).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/crash/explorer/disk_cuts.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kHistories = 12;

TEST(DiskFsCrash, EveryCutLeavesAnAllowedState) {
  uint64_t seed = 0;
  const bool one = testing::seed_given(&seed);
  uint64_t states = 0;
  for (uint64_t i = 1; i <= (one ? 1 : kHistories); ++i) {
    // Every third history is the commit's own.
    if (!one) seed = i % 3 == 0 ? testing::commit_seed(i) : i;
    SCOPED_TRACE(fmt::format("reproduce: SCALEFS_SEED={} crash_diskfs", seed));
    DiskCuts cuts(seed);
    ASSERT_TRUE(cuts.record(25));
    ASSERT_EQ(cuts.check(4), "");
    states += cuts.states();
  }
  fmt::print("{} crash states\n", states);
}

// Canary: with a device that does not flush, the same check has to find lost commits.
TEST(DiskFsCrash, DroppedFlushesAreNoticed) {
  int noticed = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    DiskCuts cuts(seed);
    ASSERT_TRUE(cuts.record(10, /*lose_flushes=*/true));
    noticed += cuts.check(3).empty() ? 0 : 1;
  }
  EXPECT_EQ(noticed, 3);
}

}  // namespace
}  // namespace scalefs::diskfs
