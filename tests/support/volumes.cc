#include "tests/support/volumes.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "diskfs/check/check.h"
#include "diskfs/format.h"
#include "tests/support/equal_hashes.h"

namespace scalefs::testing {

std::unique_ptr<diskfs::MemoryDevice> formatted_device(uint64_t bytes) {
  auto device = std::make_unique<diskfs::MemoryDevice>(bytes / kBlockBytes);
  diskfs::FormatOptions options;
  options.uuid = diskfs::Uuid{0x5c, 0xa1, 0xef, 0x50};
  options.hash_key = kEqualHashesKey;
  options.time_ns = 0;
  std::string why;
  auto made = diskfs::format(*device, options, &why);
  SCALEFS_CHECK(made.ok());
  return device;
}

std::string check_image(diskfs::BlockDevice& device) {
  std::string why;
  auto report = diskfs::check_volume(device, &why);
  if (!report.ok()) return "the checker: " + why;
  std::string text;
  for (const auto& finding : report->findings.list()) {
    if (diskfs::is_note(finding.code)) continue;
    text += std::string(diskfs::code_name(finding.code)) + ": " + finding.text + "\n";
  }
  return text;
}

void expect_clean(diskfs::BlockDevice& device) { EXPECT_EQ(check_image(device), ""); }

}  // namespace scalefs::testing
