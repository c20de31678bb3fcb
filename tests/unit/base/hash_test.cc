#include "base/hash.h"

#include <gtest/gtest.h>

namespace scalefs {
namespace {
TEST(Crc32c, KnownAnswer) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c_portable("123456789", 9), 0xe3069283u);
}
}  // namespace
}  // namespace scalefs
