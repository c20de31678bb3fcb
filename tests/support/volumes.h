// Formatted devices and image checks for tests.
#pragma once

#include <memory>
#include <string>

#include "diskfs/memory_device.h"

namespace scalefs::testing {

// A memory device of `bytes` with an empty volume on it. The same bytes every time.
std::unique_ptr<diskfs::MemoryDevice> formatted_device(uint64_t bytes);
// What fsck -n finds on it, a line each; empty when it is clean.
std::string check_image(diskfs::BlockDevice& device);
// The same as a GoogleTest expectation.
void expect_clean(diskfs::BlockDevice& device);

}  // namespace scalefs::testing
