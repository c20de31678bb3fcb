// Modification times that were set to the future end with the next change, whether what was set is in memory, in the
// journal or in a checkpoint by then; and what memory shows is what recovery brings back.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kYear = int64_t{365} * 86400 * kSecond;

class Times : public ::testing::Test {
 protected:
  void SetUp() override {
    tick();
    ASSERT_TRUE(m_.mount().ok());
    dir_ = m_.mkdir(kRootMnode, "dir");
    file_ = m_.create(dir_, "file");
    ASSERT_EQ(m_.write(file_, 0, "text"), 0);
  }
  void TearDown() override { set_wall_for_test(-1); }

  void tick() { set_wall_for_test(now_ += kSecond); }
  void sync() { ASSERT_TRUE(m_.volume->sync().ok()); }
  void checkpoint() {
    sync();
    while (m_.volume->step_checkpoint()) {
    }
  }
  // Remounts lose the numbers' lookups.
  void find() {
    ASSERT_EQ(m_.find("dir"), dir_);
    ASSERT_EQ(m_.find("dir/file"), file_);
  }
  void set_both(int64_t mtime) {
    tick();
    memfs::SetAttr change;
    change.mtime_ns = mtime;
    for (const MnodeNo mnode : {dir_, file_}) {
      const auto attr = m_.fs().setattr(mnode, change);
      ASSERT_EQ(attr.code(), 0);
      EXPECT_EQ(attr->mtime_ns, mtime);
    }
  }
  // Some name of the directory, and the file's data.
  void change_both() {
    tick();
    const std::string name = "n" + std::to_string(now_);
    m_.create(dir_, name);
    ASSERT_EQ(m_.write(file_, 0, name), 0);
  }
  // They show `mtime`, now and after a crash behind a sync.
  void expect_both(int64_t mtime) {
    for (int round = 0; round < 2; ++round) {
      const memfs::Attr dir = m_.attr(dir_);
      const memfs::Attr file = m_.attr(file_);
      EXPECT_EQ(dir.mtime_ns, mtime) << round;
      EXPECT_EQ(file.mtime_ns, mtime) << round;
      sync();
      m_.crash_and_mount();
      find();
      EXPECT_EQ(m_.attr(dir_), dir) << round;
      EXPECT_EQ(m_.attr(file_).mtime_ns, file.mtime_ns) << round;
      EXPECT_EQ(m_.attr(file_).ctime_ns, file.ctime_ns) << round;
    }
  }

  int64_t now_ = 50 * kYear;
  Mounted m_;
  MnodeNo dir_;
  MnodeNo file_;
};

TEST_F(Times, OneInTheFutureStaysUntilTheNextChange) {
  const int64_t future = now_ + kYear;
  set_both(future);
  expect_both(future);
  // What changes no content does not end it.
  tick();
  memfs::SetAttr mode;
  mode.mode = 0700;
  ASSERT_TRUE(m_.fs().setattr(dir_, mode).ok());
  ASSERT_TRUE(m_.fs().setattr(file_, mode).ok());
  expect_both(future);
}

TEST_F(Times, TheNextChangeBringsTheFutureBackToNow) {
  const std::vector<std::function<void()>> between = {
      [] {},
      [&] { sync(); },
      [&] { checkpoint(); },
      [&] {
        sync();
        m_.crash_and_mount();
        find();
      },
      [&] {
        m_.unmount_and_mount();
        find();
      },
  };
  for (size_t i = 0; i < between.size(); ++i) {
    SCOPED_TRACE(i);
    set_both(now_ + kYear);
    between[i]();
    change_both();
    expect_both(now_);
    set_both(now_ + kYear);
    between[i]();
    change_both();
    between[i]();
    change_both();
    expect_both(now_);
    if (HasFatalFailure()) return;
  }
}

TEST_F(Times, ATimeThatTheClockHasPassedIsNoMoreThanATime) {
  set_both(now_ + 3 * kSecond);
  sync();
  for (int i = 0; i < 5; ++i) tick();
  memfs::SetAttr mode;
  mode.mode = 0700;
  ASSERT_TRUE(m_.fs().setattr(dir_, mode).ok());
  ASSERT_TRUE(m_.fs().setattr(file_, mode).ok());
  m_.unmount_and_mount();
  find();
  change_both();
  expect_both(now_);
  set_both(kSecond);  // long ago
  expect_both(kSecond);
  change_both();
  expect_both(now_);
}

}  // namespace
}  // namespace scalefs::volume
