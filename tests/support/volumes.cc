#include "tests/support/volumes.h"

#include "base/check.h"
#include "diskfs/format.h"

namespace scalefs::testing {

std::unique_ptr<diskfs::MemoryDevice> formatted_device(uint64_t bytes) {
  auto device = std::make_unique<diskfs::MemoryDevice>(bytes / kBlockBytes);
  diskfs::FormatOptions options;
  options.uuid = diskfs::Uuid{0x5c, 0xa1, 0xef, 0x50};
  options.hash_key = HashKey{1, 2};
  options.time_ns = 0;
  std::string why;
  auto made = diskfs::format(*device, options, &why);
  SCALEFS_CHECK(made.ok());
  return device;
}

}  // namespace scalefs::testing
