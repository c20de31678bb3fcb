// The n-th read, write or flush of a mount, of scripts of calls and of what the engine does for them fails, for
// every n until none does; and devices that shrink, fill up and lie. What must hold stands in
// tests/crash/explorer/fault_run.h. SCALEFS_FAULT_SCRIPT="write /f 0 100; fsync /f" tries one script.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/crash/explorer/explorer.h"
#include "tests/crash/explorer/fault_run.h"
#include "tests/support/seeds.h"

namespace scalefs::testing {
namespace {

using Call = diskfs::FaultDevice::Call;

// Between them all calls, loads of what is not in memory, writeback, commits, and checkpoints beside them; and some
// of the explorer's, drawn by the commit.
std::vector<std::string> scripts() {
  if (const char* given = std::getenv("SCALEFS_FAULT_SCRIPT")) return {given};
  std::vector<std::string> all = {
      "read /f; create /n; write /n 0 9000; fsync /n; append /f 5000; setxattr /f; fsync /f; checkpoint; "
      "rename /f /d/g; mkdir /m; link /d/g /m/l; fsync /m; truncate /d/g 5000; fallocate /n 8192 16384; "
      "punch /n 0 4096; sync; checkpoint; checkpoint; unlink /m/l; rmdir /e; symlink /y; commit; checkpoint; "
      "write /n 0 100000; writeback; fsync /n; create /d/s/k; fsync /d; list /d",
      "list /d; list /; read /d/g; write /d/s/h 100 100; rename /d/s/h /h; rename /d /e/d; setxattr /e; fsync /e; "
      "write /f 4000 30000; fdatasync /f; checkpoint; truncate /f 0; unlink /e/d/g; sync; mkdir /e/d/m; "
      "checkpoint; rmdir /e/d/m; append /f 200; rename /f /h; writeback; commit; checkpoint; sync",
  };
  auto one = crash_scripts_of_one();
  Random random(commit_seed(0));
  for (int i = 0; i < 4; ++i) {
    std::string script = "list /d";
    for (int calls = 0; calls < 6; ++calls) {
      script += "; " + one[random.below(one.size())];
      if (random.percent(30)) script += "; checkpoint";
      if (random.percent(30)) script += random.percent(50) ? "; read /f" : "; read /d/g";
    }
    all.push_back(script + "; sync");
  }
  return all;
}

class EveryCall : public ::testing::Test {
 protected:
  // Until a life does not meet the fault. `swallowed_ok`: the engine may have had another copy to read.
  void fail_every(Call call, int error, bool later_too, bool tear, bool swallowed_ok) {
    uint64_t refused = 0;
    for (const auto& script : scripts()) {
      for (uint64_t n = 1;; ++n) {
        SCOPED_TRACE(fmt::format("SCALEFS_FAULT_SCRIPT='{}', call {}", script, n));
        ASSERT_LT(n, 3000u);
        std::string wrong = run_.run(script, [&](diskfs::FaultDevice& device) {
          device.set_tear_failed_writes(tear);
          device.fail(call, n, error, later_too);
        });
        ASSERT_EQ(wrong, "");
        lives_++;
        if (run_.calls(call) < n) break;
        const bool heard = !run_.mounted() || run_.volume_failed() || run_.refused() != 0;
        ASSERT_TRUE(heard || swallowed_ok) << "an error that nobody heard of";
        refused += heard ? 1 : 0;
      }
    }
    EXPECT_GT(refused, lives_ / 8);
    fmt::print("{} lives\n", lives_);
  }

  FaultRun run_;
  uint64_t lives_ = 0;
};

TEST_F(EveryCall, AWriteFailsOnce) { fail_every(Call::write, EIO, false, false, false); }
TEST_F(EveryCall, AWriteIsTorn) { fail_every(Call::write, EIO, false, true, false); }
TEST_F(EveryCall, AllWritesFail) { fail_every(Call::write, EIO, true, false, false); }
TEST_F(EveryCall, TheHostHasNoRoom) { fail_every(Call::write, ENOSPC, true, true, false); }
TEST_F(EveryCall, TheHostHasNoRoomForOneWrite) { fail_every(Call::write, ENOSPC, false, false, false); }
TEST_F(EveryCall, AFlushFailsOnce) { fail_every(Call::flush, EIO, false, false, false); }
TEST_F(EveryCall, AllFlushesFail) { fail_every(Call::flush, EIO, true, false, false); }
TEST_F(EveryCall, AReadFailsOnce) { fail_every(Call::read, EIO, false, false, true); }
TEST_F(EveryCall, AllReadsFail) { fail_every(Call::read, EIO, true, false, true); }

// From the end to the superblocks; some calls before that the device is whole.
TEST_F(EveryCall, TheDeviceShrinks) {
  constexpr uint64_t kBlocks = (16u << 20) / kBlockBytes;
  uint64_t heard = 0;
  for (const auto& script : scripts()) {
    for (uint64_t blocks = kBlocks - 1; blocks > 4; blocks -= std::max<uint64_t>(blocks / 40, 1)) {
      SCOPED_TRACE(fmt::format("SCALEFS_FAULT_SCRIPT='{}', {} blocks left", script, blocks));
      ASSERT_EQ(run_.run(script, [&](diskfs::FaultDevice& device) { device.shrink(blocks); }), "");
      heard += !run_.mounted() || run_.volume_failed() || run_.refused() != 0;
      lives_++;
    }
  }
  EXPECT_GT(heard, lives_ / 4);
  fmt::print("{} lives\n", lives_);
}

TEST(EveryCallOnAFullVolume, IsAnsweredOrRefusedWhole) {
  FaultRun run;
  uint64_t refused = 0;
  uint64_t lives = 0;
  for (const auto& script : scripts()) {
    for (uint64_t left : {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64}) {
      SCOPED_TRACE(fmt::format("SCALEFS_FAULT_SCRIPT='{}', {} blocks left", script, left));
      ASSERT_EQ(run.run_full(script, left), "");
      refused += run.refused() != 0;
      lives++;
    }
  }
  EXPECT_GT(refused, lives / 8);
  fmt::print("{} lives, {} of them refused something\n", lives, refused);
}

// --- a device that lies

class Lies : public ::testing::Test {
 protected:
  void lie_every(const std::function<void(diskfs::FaultDevice&, uint64_t, Random&)>& lie) {
    uint64_t seed = 0;
    if (!seed_given(&seed)) seed = commit_seed(0);
    FaultRun run;
    uint64_t lies = 0;
    uint64_t told = 0;
    for (const auto& script : scripts()) {
      for (uint64_t n = 1;; ++n) {
        SCOPED_TRACE(fmt::format("SCALEFS_SEED={} SCALEFS_FAULT_SCRIPT='{}', write {}", seed, script, n));
        Random random(seed + n);
        ASSERT_EQ(run.run_lies(script, [&](diskfs::FaultDevice& device) { lie(device, n, random); }), "");
        if (run.calls(Call::write) < n) break;
        lies++;
        told += run.damage_told();
      }
    }
    fmt::print("{} lies, {} told\n", lies, told);
    EXPECT_GT(told, lies / 20) << "most lies leave a trace";
  }
};

TEST_F(Lies, LostWritesAreNeverServed) {
  lie_every([](diskfs::FaultDevice& device, uint64_t n, Random&) { device.lose_write(n); });
}
TEST_F(Lies, MisdirectedWritesAreNeverServed) {
  lie_every([](diskfs::FaultDevice& device, uint64_t n, Random& random) {
    device.misdirect_write(n, BlockNo(random.below(3900)));
  });
}
TEST_F(Lies, CorruptedWritesAreNeverServed) {
  lie_every([](diskfs::FaultDevice& device, uint64_t n, Random& random) {
    device.corrupt_write(n, random.below(random.percent(50) ? kBlockBytes : 64 << 10), std::byte{0x10});
  });
}

}  // namespace
}  // namespace scalefs::testing
