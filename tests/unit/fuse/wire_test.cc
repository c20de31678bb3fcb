#include "fuse/wire.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <vector>

namespace scalefs::fuse {
namespace {

memfs::DirectoryEntry entry_of(std::string_view name, uint64_t mnode, uint64_t next) {
  return {.name = name, .mnode = MnodeNo(mnode), .type = 8, .next_cookie = next};
}

TEST(Wire, TimesBefore1970HavePositiveNanoseconds) {
  Attr attr;
  attr.mtime_ns = -1;
  attr.atime_ns = -1'000'000'000;
  attr.ctime_ns = 1'500'000'000;
  const struct stat stat = wire::to_stat(attr);
  EXPECT_EQ(stat.st_mtim.tv_sec, -1);
  EXPECT_EQ(stat.st_mtim.tv_nsec, 999'999'999);
  EXPECT_EQ(stat.st_atim.tv_sec, -1);
  EXPECT_EQ(stat.st_atim.tv_nsec, 0);
  EXPECT_EQ(stat.st_ctim.tv_sec, 1);
  EXPECT_EQ(stat.st_ctim.tv_nsec, 500'000'000);
  const fuse_attr raw = wire::to_attr(attr);
  EXPECT_EQ(static_cast<int64_t>(raw.mtime), -1);
  EXPECT_EQ(raw.mtimensec, 999'999'999u);
}

TEST(Wire, StatxCarriesTheTimeOfBirth) {
  Attr attr;
  attr.mnode = MnodeNo(77);
  attr.mode = S_IFREG | 0640;
  attr.btime_ns = 2'000'000'003;
  const wire::StatxOut out = wire::to_statx(attr);
  EXPECT_EQ(out.stat.btime.seconds, 2);
  EXPECT_EQ(out.stat.btime.nanoseconds, 3u);
  EXPECT_EQ(out.stat.ino, 77u);
  EXPECT_EQ(out.stat.mode, S_IFREG | 0640);
}

TEST(Wire, EntriesArePackedAlignedUntilTheListingIsFull) {
  std::vector<std::byte> listing(100);
  const size_t first = wire::pack_entry(listing, 0, entry_of("abc", 5, 9), false, nullptr);
  EXPECT_EQ(first, 32u);  // 24 and three bytes of a name, in units of eight
  const size_t second = wire::pack_entry(listing, first, entry_of("12345678", 6, 10), false, nullptr);
  EXPECT_EQ(second, 64u);
  // 36 bytes are left: 32 hold a name of up to eight bytes.
  EXPECT_EQ(wire::pack_entry(listing, second, entry_of("123456789", 7, 11), false, nullptr), 0u);
  EXPECT_EQ(wire::pack_entry(listing, second, entry_of("1", 7, 11), false, nullptr), 96u);
}

TEST(Wire, APlainEntryHasNumberTypeAndNextCookie) {
  std::vector<std::byte> listing(64);
  ASSERT_NE(wire::pack_entry(listing, 0, entry_of("name", 5, 9), false, nullptr), 0u);
  fuse_dirent dirent;
  std::memcpy(&dirent, listing.data(), FUSE_NAME_OFFSET);
  EXPECT_EQ(dirent.ino, 5u);
  EXPECT_EQ(dirent.off, 9u);
  EXPECT_EQ(dirent.namelen, 4u);
  EXPECT_EQ(dirent.type, 8u);
  EXPECT_EQ(std::memcmp(listing.data() + FUSE_NAME_OFFSET, "name", 4), 0);
}

TEST(Wire, AnEntryWithoutAttributesHasNoNode) {
  std::vector<std::byte> listing(1024);
  Attr attr;
  attr.mnode = MnodeNo(5);
  attr.size = 123;
  const size_t first = wire::pack_entry(listing, 0, entry_of("with", 5, 9), true, &attr);
  const size_t second = wire::pack_entry(listing, first, entry_of("without", 6, 10), true, nullptr);
  ASSERT_NE(second, 0u);
  fuse_entry_out out;
  std::memcpy(&out, listing.data(), sizeof(out));
  EXPECT_EQ(out.nodeid, 5u);
  EXPECT_EQ(out.attr.size, 123u);
  std::memcpy(&out, listing.data() + first, sizeof(out));
  EXPECT_EQ(out.nodeid, 0u);
  fuse_dirent dirent;
  std::memcpy(&dirent, listing.data() + first + sizeof(out), FUSE_NAME_OFFSET);
  EXPECT_EQ(dirent.ino, 6u);
}

}  // namespace
}  // namespace scalefs::fuse
