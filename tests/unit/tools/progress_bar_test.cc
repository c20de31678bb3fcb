// The bar on a terminal: how far, and how long still; gone at the end. For programs: lines.
#include "tools/progress_bar.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <string>

namespace scalefs::tools {
namespace {

uint64_t now_ms = 0;
uint64_t fake_clock() { return now_ms; }

class ProgressOnATerminal : public ::testing::Test {
 protected:
  void SetUp() override {
    now_ms = 5000;
    screen_ = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    ASSERT_GE(screen_, 0);
    ASSERT_EQ(grantpt(screen_), 0);
    ASSERT_EQ(unlockpt(screen_), 0);
    terminal_ = open(ptsname(screen_), O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal_, 0);
    termios raw;
    ASSERT_EQ(tcgetattr(terminal_, &raw), 0);
    cfmakeraw(&raw);
    ASSERT_EQ(tcsetattr(terminal_, TCSANOW, &raw), 0);
  }
  void TearDown() override {
    close(terminal_);
    close(screen_);
  }
  // What was written since the last call: a terminal hands on later what it was given, so up to a mark.
  std::string shown() {
    constexpr char kMark = '\1';
    EXPECT_EQ(write(terminal_, &kMark, 1), 1);
    std::string text;
    while (!text.ends_with(kMark)) {
      pollfd ready{.fd = screen_, .events = POLLIN, .revents = 0};
      char part[4096];
      const ssize_t size = poll(&ready, 1, -1) == 1 ? read(screen_, part, sizeof part) : -1;
      if (size < 0) {
        ADD_FAILURE() << "the terminal does not answer";
        break;
      }
      text.append(part, static_cast<size_t>(size));
    }
    if (!text.empty()) text.pop_back();
    return text;
  }
  int screen_ = -1, terminal_ = -1;
};

TEST_F(ProgressOnATerminal, ShowsHowFarAndHowLongStill) {
  ProgressBar bar(terminal_, "disk.img", fake_clock);
  bar.begin(1, "checking");
  bar.update(1, 10);
  EXPECT_EQ(shown(), "\rdisk.img: checking |===                           |  10%");
  now_ms += 20'000;
  bar.update(5, 10);
  EXPECT_EQ(shown(), "\rdisk.img: checking |===============               |  50%, 20 s left");
  bar.update(5, 10);  // nothing new
  EXPECT_EQ(shown(), "");
  now_ms += 2000;
  bar.update(20, 10);  // more than there was to do
  // What stood there before is covered.
  EXPECT_EQ(shown(), "\rdisk.img: checking |==============================| 100%, 0 s left ");
  bar.end();
  EXPECT_EQ(shown(), "\r" + std::string(67, ' ') + "\r");
}

TEST_F(ProgressOnATerminal, EachPassBeginsAnew) {
  ProgressBar bar(terminal_, "d", fake_clock);
  bar.begin(1, "checking");
  now_ms += 9000;
  bar.update(9, 10);
  bar.begin(3, "reading data");
  shown();
  now_ms += 3000;
  bar.update(1, 4);
  EXPECT_EQ(shown(), "\rd: reading data |=======                       |  25%, 9 s left");
}

TEST(ProgressForPrograms, IsLines) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    ProgressBar bar(ends[1], "disk.img", fake_clock);
    bar.begin(2, "repairing");
    bar.update(1, 4);
    bar.update(4, 4);
  }
  close(ends[1]);
  char text[200] = {};
  EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
  close(ends[0]);
  EXPECT_STREQ(text, "2 1 4 disk.img\n2 4 4 disk.img\n");
}

}  // namespace
}  // namespace scalefs::tools
