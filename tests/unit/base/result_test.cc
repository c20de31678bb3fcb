#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace scalefs {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Errno(EINVAL);
  return n / 2;
}
Result<int> quarter(int n) {
  SCALEFS_TRY(const int h, half(n));
  SCALEFS_TRY(const int q, half(h));
  return q;
}
Status even(int n) {
  SCALEFS_TRY_VOID(half(n));
  return {};
}

TEST(Result, HoldsAValueOrAnErrno) {
  const Result<int> good = half(4);
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(*good, 2);
  EXPECT_EQ(good.code(), 0);
  const Result<int> bad = half(3);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error(), Errno(EINVAL));
  EXPECT_EQ(bad.code(), EINVAL);
}

TEST(Result, TryPassesTheFirstErrorOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).code(), EINVAL);
  EXPECT_EQ(quarter(1).code(), EINVAL);
}

TEST(Result, StatusIsOkByDefault) {
  EXPECT_TRUE(Status().ok());
  EXPECT_TRUE(even(2).ok());
  EXPECT_EQ(even(1).error().code(), EINVAL);
}

TEST(Result, HoldsMoveOnlyValues) {
  auto make = [](bool good) -> Result<std::unique_ptr<int>> {
    if (!good) return Errno(ENOMEM);
    return std::make_unique<int>(7);
  };
  Result<std::unique_ptr<int>> result = make(true);
  std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
  result = make(false);
  EXPECT_EQ(result.code(), ENOMEM);
  result = make(true);
  EXPECT_EQ(**result, 7);
  Result<std::unique_ptr<int>> moved = std::move(result);
  EXPECT_EQ(**moved, 7);
}

// Counts how many of its kind are alive, to see that each is destroyed once.
struct Counted {
  static inline int alive = 0;
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  Counted(Counted&&) noexcept { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }
};

TEST(Result, DestroysWhatItHoldsOnce) {
  {
    Result<Counted> a{Counted{}};
    Result<Counted> b = a;
    Result<Counted> error = Errno(EIO);
    EXPECT_EQ(Counted::alive, 2);
    a = error;  // value to error
    EXPECT_EQ(Counted::alive, 1);
    a = b;  // error to value
    EXPECT_EQ(Counted::alive, 2);
    b = std::move(a);
    const Result<Counted>& same = b;
    b = same;  // to itself
    EXPECT_TRUE(b.ok());
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(Result, CopiesDeeply) {
  const Result<std::vector<std::string>> a{std::vector<std::string>{"x", "y"}};
  Result<std::vector<std::string>> b = a;
  b->push_back("z");
  EXPECT_EQ(a->size(), 2u);
  EXPECT_EQ(b->size(), 3u);
}

TEST(ResultDeathTest, WrongSideAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)half(1).value(), "check failed: ok_");
  EXPECT_DEATH((void)half(2).error(), "check failed: !ok_");
}

}  // namespace
}  // namespace scalefs
