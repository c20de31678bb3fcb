// The n-th write or flush of the device fails, for every n of a short history: an fsync that was answered
// ok is there afterwards, every fsync after the failure is answered EIO, changes EROFS, reads go
// on, and what a new mount finds is a state that existed (I11).
#include <gtest/gtest.h>

#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

using Call = diskfs::FaultDevice::Call;

struct History {
  int acknowledged = 0;  // rounds whose fsync was answered ok
  int done = 0;          // rounds whose calls were accepted
  bool failed = false;
};

std::string text_of(int round) { return "round " + std::to_string(round) + std::string(9000, '.'); }

// Rounds of: a new file, a large one overwritten, a name replaced, all made durable; now and then a checkpoint.
History run(Mounted& m) {
  History history;
  const auto large = m.fs().create(kRootMnode, "large", 0100644, false, memfs::Caller{});
  if (!large.ok()) return history;
  for (int round = 0; round < 8; ++round) {
    const auto file = m.fs().create(kRootMnode, "file" + std::to_string(round), 0100644, true,
                                    memfs::Caller{});
    if (!file.ok()) {
      EXPECT_EQ(file.code(), EROFS);
      history.failed = true;
      return history;
    }
    const std::string text = text_of(round);
    const int code = m.write(file->attr.mnode, 0, text);
    EXPECT_TRUE(code == 0 || code == EROFS) << code;
    (void)m.write(large->attr.mnode, 0, std::string(100'000, static_cast<char>('a' + round)));
    history.done = round + 1;
    Status status = m.volume->fsync(file->attr.mnode, false);
    if (status.ok()) status = m.volume->fsync(large->attr.mnode, false);
    if (!status.ok()) {
      EXPECT_EQ(status.code(), EIO);
      history.failed = true;
      EXPECT_EQ(m.volume->fsync(file->attr.mnode, false).code(), EIO) << "not sticky";
      EXPECT_EQ(m.volume->sync().code(), EIO);
      EXPECT_TRUE(m.volume->failed());
      EXPECT_EQ(m.write(file->attr.mnode, 0, "late"), EROFS);
      EXPECT_EQ(m.fs().unlink(kRootMnode, "large").code(), EROFS);
      EXPECT_EQ(m.read(file->attr.mnode), text) << "memory does not serve on";
      return history;
    }
    history.acknowledged = round + 1;
    if (round % 3 == 2) m.volume->step_checkpoint();
  }
  return history;
}

void check(Mounted& m, const History& history) {
  for (int round = 0; round < history.acknowledged; ++round) {
    const MnodeNo file = m.find("file" + std::to_string(round));
    ASSERT_TRUE(file) << "round " << round << " was acknowledged and is gone";
    EXPECT_EQ(m.read(file), text_of(round));
  }
  if (history.acknowledged == 0) return;
  const std::string large = m.read(m.find("large"));
  ASSERT_EQ(large.size(), 100'000u);
  // Each block holds a content that it had at or after the last acknowledged round.
  for (size_t at = 0; at < large.size(); at += kBlockBytes) {
    const char c = large[at];
    EXPECT_GE(c, 'a' + history.acknowledged - 1);
    EXPECT_LE(c, 'a' + history.done - 1);
    const std::string block = large.substr(at, kBlockBytes);
    EXPECT_EQ(block.find_first_not_of(c), block.npos) << "a block of two contents";
  }
}

void fail_each(Call call, bool later_too, bool tear) {
  Mounted counting;
  ASSERT_TRUE(counting.mount().ok());
  const uint64_t mount_calls = counting.faults.calls(call);
  run(counting);
  const uint64_t calls = counting.faults.calls(call) - mount_calls;
  ASSERT_GT(calls, 8u);
  for (uint64_t n = 1; n <= calls; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    Mounted m;
    ASSERT_TRUE(m.mount().ok());
    m.faults.set_tear_failed_writes(tear);
    m.faults.fail(call, n, EIO, later_too);
    const History history = run(m);
    EXPECT_TRUE(history.failed || m.volume->failed()) << "the failure was swallowed";
    m.volume->shutdown();
    m.faults.clear();
    m.crash_and_mount();
    check(m, history);
    EXPECT_FALSE(m.volume->failed());
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(DeviceError, EveryWriteFailsOnce) { fail_each(Call::write, false, false); }
TEST(DeviceError, EveryWriteIsTorn) { fail_each(Call::write, false, true); }
TEST(DeviceError, EveryWriteFailsForGood) { fail_each(Call::write, true, false); }
TEST(DeviceError, EveryFlushFailsOnce) { fail_each(Call::flush, false, false); }
TEST(DeviceError, EveryFlushFailsForGood) { fail_each(Call::flush, true, false); }

TEST(DeviceError, UnreadableBlockIsThatFilesErrorAlone) {
  Mounted m;
  ASSERT_TRUE(m.mount().ok());
  for (const char* name : {"a", "b"}) {
    const MnodeNo file = m.create(kRootMnode, name);
    ASSERT_EQ(m.write(file, 0, std::string(100'000, *name)), 0);
    ASSERT_TRUE(m.volume->fsync(file, false).ok());
  }
  m.unmount_and_mount();
  const MnodeNo a = m.find("a");
  const MnodeNo b = m.find("b");
  m.faults.fail(Call::read, 1, EIO, true);
  std::string text(100'000, '\0');
  EXPECT_EQ(m.fs().read(a, 0, std::as_writable_bytes(std::span(text))).code(), EIO);
  m.faults.clear();
  EXPECT_EQ(m.read(b), std::string(100'000, 'b'));
  EXPECT_EQ(m.read(a), std::string(100'000, 'a')) << "a passing error must not stick";
  EXPECT_FALSE(m.volume->failed());
}

TEST(DeviceError, MountReportsWhatFailed) {
  Mounted m;
  ASSERT_TRUE(m.mount().ok());
  ASSERT_TRUE(m.volume->unmount().ok());
  m.volume.reset();
  for (uint64_t n = 1; n < 30; ++n) {
    m.faults.clear();
    m.faults.fail(n % 2 ? Call::read : Call::write, n / 2 + 1, EIO, true);
    std::string why;
    const auto volume = Volume::mount(m.faults, m.options, &why);
    if (volume.ok()) continue;
    EXPECT_FALSE(why.empty());
  }
  m.faults.clear();
  EXPECT_TRUE(m.mount().ok());
}

}  // namespace
}  // namespace scalefs::volume
