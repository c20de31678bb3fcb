#include "base/log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace scalefs {
namespace {

// What a call of `body` writes to standard error.
template <class Body>
std::string written_by(Body body) {
  ::testing::internal::CaptureStderr();
  body();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, SaysTheLevelAndTheText) {
  EXPECT_EQ(written_by([] { log_error("block {} is bad", 7); }),
            "scalefs: error: block 7 is bad\n");
  EXPECT_EQ(written_by([] { log_warning("careful"); }), "scalefs: warning: careful\n");
  EXPECT_EQ(written_by([] { log_info("{}", std::string("hello")); }), "scalefs: hello\n");
}

TEST(Log, LevelsAboveTheLimitAreDropped) {
  set_log_level(LogLevel::warning);
  EXPECT_EQ(written_by([] { log_info("quiet"); }), "");
  EXPECT_NE(written_by([] { log_warning("loud"); }), "");
  set_log_level(LogLevel::info);
}

TEST(Log, OneCallSiteIsLimitedAndAnotherIsNot) {
  const std::string text = written_by([] {
    for (int i = 0; i < 1000; ++i) log_error("again {}", i);
    log_error("elsewhere");
  });
  // Ten a period; a machine that stops for the period's 10 s in between may show ten more.
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 21);
  EXPECT_GE(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_NE(text.find("again 9\n"), std::string::npos);
  EXPECT_NE(text.find("elsewhere"), std::string::npos);
}

}  // namespace
}  // namespace scalefs
