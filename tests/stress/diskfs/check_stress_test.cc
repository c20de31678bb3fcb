// The threads of the checker, for the thread sanitizer.
#include <gtest/gtest.h>

#include "diskfs/check/check.h"
#include "diskfs/check/scrub.h"
#include "diskfs/memory_device.h"
#include "tests/support/wide_volume.h"

namespace scalefs::diskfs {
namespace {

TEST(CheckStress, ChecksAndReadsWithSeveralThreads) {
  testing::WideVolume what;
  what.files = 2500;
  what.mappings = 5000;
  MemoryDevice device(what.blocks);
  testing::make_wide_volume(device, what);
  std::string why;
  uint64_t told = 0;
  const CheckOptions options{4, [&](uint64_t done, uint64_t) { told = done; }};
  const auto report = check_volume(device, &why, options);
  ASSERT_TRUE(report.ok()) << why;
  EXPECT_TRUE(report->findings.clean());
  EXPECT_EQ(told, report->inodes);
  const auto data = scrub_volume(device, options, &why);
  ASSERT_TRUE(data.ok()) << why;
  EXPECT_EQ(data->bad_blocks, 0u);
  EXPECT_GT(data->blocks, 800u);
}

}  // namespace
}  // namespace scalefs::diskfs
