// Modification times that were set to the future end with the next change, whether what was set is in memory, in the
// journal or in a checkpoint by then; and what memory shows is what recovery brings back.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
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
  void TearDown() override {
    step_wall_for_test(0);
    set_wall_for_test(-1);
  }

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

// A call that looks at the clock twice tells memory no later time than the log.
TEST_F(Times, WhatACallShowsStaysWhereTheClockMovesDuringIt) {
  using memfs::AllocateMode;
  memfs::SetAttr empty, shorter, longer, touched, mode, both;
  empty.size = 0;
  shorter.size = 2;
  longer.size = 100'000;
  touched.mtime_ns = memfs::SetAttr::kNow;
  mode.mode = 04755;
  both.size = 3;
  both.mtime_ns = memfs::SetAttr::kNow;
  const auto set = [&](const memfs::SetAttr& change) { return m_.fs().setattr(file_, change).code(); };
  const auto allocate = [&](AllocateMode how, uint64_t offset, uint64_t length) {
    return m_.fs().allocate(file_, how, offset, length).code();
  };
  const std::string text(5000, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  const std::vector<std::pair<std::string, std::function<int()>>> calls = {
      {"write", [&] { return m_.write(file_, 0, text); }},
      {"append", [&] { return m_.fs().append(file_, bytes).code(); }},
      {"shorter", [&] { return set(shorter); }},
      {"shorter, to the same size", [&] { return set(shorter); }},
      {"longer", [&] { return set(longer); }},
      {"size and time", [&] { return set(both); }},
      {"empty", [&] { return set(empty); }},
      {"empty already", [&] { return set(empty); }},
      {"touch", [&] { return set(touched); }},
      {"mode", [&] { return set(mode); }},
      {"write, which drops set-id bits", [&] { return m_.fs().write(file_, 0, bytes, true).code(); }},
      {"allocate", [&] { return allocate(AllocateMode::allocate, 0, 40'000); }},
      {"allocate again", [&] { return allocate(AllocateMode::allocate, 0, 40'000); }},
      {"punch", [&] { return allocate(AllocateMode::punch_hole, 100, 20'000); }},
      {"punch a hole", [&] { return allocate(AllocateMode::punch_hole, 4096, 8192); }},
      {"zero", [&] { return allocate(AllocateMode::zero_range, 10'000, 50'000); }},
      {"setxattr", [&] { return m_.fs().setxattr(file_, "user.a", bytes, memfs::XattrMode::set).code(); }},
      {"removexattr", [&] { return m_.fs().removexattr(file_, "user.a").code(); }},
      {"link", [&] { return m_.fs().link(file_, dir_, "link").code(); }},
      {"rename", [&] { return m_.fs().rename(dir_, "link", dir_, "other", memfs::RenameMode::replace, {}).code(); }},
      {"unlink", [&] { return m_.fs().unlink(dir_, "other").code(); }},
      {"mkdir", [&] { return m_.fs().mkdir(dir_, "d", 040755, memfs::Caller{}).code(); }},
      {"rmdir", [&] { return m_.fs().rmdir(dir_, "d").code(); }},
  };
  step_wall_for_test(kSecond);
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    ASSERT_EQ(call(), 0);
    const memfs::Attr dir = m_.attr(dir_), file = m_.attr(file_);
    sync();
    m_.crash_and_mount();
    find();
    const memfs::Attr dir_after = m_.attr(dir_), file_after = m_.attr(file_);
    EXPECT_EQ(dir_after.mtime_ns, dir.mtime_ns);
    EXPECT_EQ(dir_after.ctime_ns, dir.ctime_ns);
    EXPECT_EQ(file_after.mtime_ns, file.mtime_ns);
    EXPECT_EQ(file_after.ctime_ns, file.ctime_ns);
  }
}

}  // namespace
}  // namespace scalefs::volume
