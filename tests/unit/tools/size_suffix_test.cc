#include "tools/size_suffix.h"

#include <gtest/gtest.h>

namespace scalefs::tools {
namespace {

TEST(SizeSuffix, Parses) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("16M"), 16u << 20);
  EXPECT_EQ(parse_size("16m"), 16u << 20);
  EXPECT_EQ(parse_size("3K"), 3072u);
  EXPECT_EQ(parse_size("2GiB"), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("2GB"), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("64T"), uint64_t{64} << 40);
  EXPECT_EQ(parse_size("16777215T"), uint64_t{16777215} << 40);
}

TEST(SizeSuffix, RefusesEverythingElse) {
  for (const char* text : {"", "0", "0M", "M", "-1", "+1", "1.5G", "10X", "10Mb", "10MiBx", " 1",
                           "1 ", "16777216T", "18446744073709551616", "0x10", "1e3"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(SizeSuffix, Formats) {
  EXPECT_EQ(format_size(0), "0 bytes");
  EXPECT_EQ(format_size(1023), "1023 bytes");
  EXPECT_EQ(format_size(1024), "1 KiB");
  EXPECT_EQ(format_size(1536 << 20), "1.5 GiB");
  EXPECT_EQ(format_size(uint64_t{64} << 40), "64 TiB");
  EXPECT_EQ(format_size(UINT64_MAX), "16777216 TiB");
}

}  // namespace
}  // namespace scalefs::tools
