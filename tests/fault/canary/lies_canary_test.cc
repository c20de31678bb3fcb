// An engine that does not look at checksums (base/canary.h) serves what a device has changed; the tests of lying devices
// must find that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/crash/explorer/armed.h"
#include "tests/crash/explorer/fault_run.h"

namespace scalefs::testing {
namespace {

void expect_found(Canary canary, const std::string& script) {
  FaultRun run;
  uint64_t lies = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    for (uint64_t n = 1;; ++n, ++lies) {
      auto corrupt = [&](diskfs::FaultDevice& device) {
        device.corrupt_write(n, Random(seed * 1000 + n).below(kBlockBytes), std::byte{0x10});
      };
      std::string wrong;
      {
        Armed armed(canary);
        wrong = run.run_lies(script, corrupt);
      }
      if (!wrong.empty()) {
        fmt::print("lie {}: {:.200}\n", lies, wrong);
        EXPECT_EQ(run.run_lies(script, corrupt), "");
        return;
      }
      if (run.calls(diskfs::FaultDevice::Call::write) < n) break;
    }
  }
  ADD_FAILURE() << "not found in " << lies << " lies";
}

TEST(EngineCanary, ReadChecksumIgnored) {
  expect_found(Canary::read_checksum_ignored, "write /f 0 50000; fsync /f; checkpoint");
}
TEST(EngineCanary, NodeChecksumIgnored) {
  expect_found(Canary::node_checksum_ignored, "setxattr /f; rename /d/g /n; sync; checkpoint");
}

}  // namespace
}  // namespace scalefs::testing
