// One crash state judged, and the devices that break promises so that tests can show that it is seen.
#pragma once

#include <string>

#include "diskfs/memory_device.h"
#include "tests/support/crash_oracle.h"

namespace scalefs::testing {

// Recovers the image and compares it with what is allowed after `events` events. `thorough`: checks the
// recovered image, recovers it once more, which must change nothing that can be seen, and uses it.
// Empty when all is well. The image is changed.
std::string judge(diskfs::MemoryDevice& image, const CrashOracle& oracle, uint64_t events,
                  bool thorough);

// Claims to flush, and does not.
class IdleFlush final : public diskfs::BlockDevice {
 public:
  explicit IdleFlush(diskfs::BlockDevice& inner) : inner_(inner) {}
  uint64_t block_count() const override { return inner_.block_count(); }
  bool read_only() const override { return false; }
  Status read(BlockNo first, Bytes to) override { return inner_.read(first, to); }
  Status write(BlockNo first, ConstBytes from) override { return inner_.write(first, from); }
  Status flush() override { return {}; }
  Status discard(BlockNo first, uint64_t count) override { return inner_.discard(first, count); }
  Status write_zeroes(BlockNo first, uint64_t count) override {
    return inner_.write_zeroes(first, count);
  }

 private:
  diskfs::BlockDevice& inner_;
};

}  // namespace scalefs::testing
