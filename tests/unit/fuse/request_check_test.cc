// Requests that are shorter than they claim are not believed.
#include "fuse/request_check.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "fuse/negotiate.h"
#include "fuse/raw_requests.h"

namespace scalefs::fuse {
namespace {

using std::string_literals::operator""s;

RequestVerdict check(uint32_t opcode, std::string_view body, int length_off_by = 0) {
  fuse_in_header header = {};
  header.len = static_cast<uint32_t>(static_cast<int>(sizeof header + body.size()) + length_off_by);
  header.opcode = opcode;
  std::vector<std::byte> request(sizeof header + body.size());
  std::memcpy(request.data(), &header, sizeof header);
  std::memcpy(request.data() + sizeof header, body.data(), body.size());
  return check_request(request);
}

template <class Body>
std::string bytes(const Body& body) {
  return {reinterpret_cast<const char*>(&body), sizeof body};
}

TEST(RequestCheck, NamesEndInsideTheRequest) {
  EXPECT_EQ(check(FUSE_LOOKUP, "name\0"s), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_LOOKUP, "name"), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_LOOKUP, ""), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_SYMLINK, "name\0target\0"s), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_SYMLINK, "name\0target"s), RequestVerdict::malformed);
  const std::string rename = bytes(fuse_rename2_in{});
  EXPECT_EQ(check(FUSE_RENAME2, rename + "from\0to\0"s), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_RENAME2, rename + "from\0"s), RequestVerdict::malformed);
}

TEST(RequestCheck, StructuresAreWhole) {
  const std::string setattr = bytes(fuse_setattr_in{});
  EXPECT_EQ(check(FUSE_SETATTR, setattr), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_SETATTR, setattr.substr(1)), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_COPY_FILE_RANGE, ""), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_TMPFILE, bytes(fuse_create_in{}) + "\0"s), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_TMPFILE, bytes(fuse_create_in{}).substr(8)), RequestVerdict::malformed);
}

TEST(RequestCheck, DataIsAsLongAsItClaims) {
  fuse_write_in write = {};
  write.size = 5;
  EXPECT_EQ(check(FUSE_WRITE, bytes(write) + "12345"), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_WRITE, bytes(write) + "1234"), RequestVerdict::malformed);
  const uint32_t setxattr[2] = {3, 0};
  EXPECT_EQ(check(FUSE_SETXATTR, bytes(setxattr) + "user.a\0val"s), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_SETXATTR, bytes(setxattr) + "user.a\0va"s), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_SETXATTR, bytes(setxattr) + "user.a"), RequestVerdict::malformed);
  // The long form becomes the short one, and tells its flag while it is the current request.
  const fuse_setxattr_in extended = {3, 1, FUSE_SETXATTR_ACL_KILL_SGID, 0};
  fuse_in_header header = {};
  header.opcode = FUSE_SETXATTR;
  std::string whole = bytes(header) + bytes(extended) + "user.a\0val"s;
  header.len = static_cast<uint32_t>(whole.size());
  whole.replace(0, sizeof(header), bytes(header));
  const Bytes rest = shorten_setxattr(std::as_writable_bytes(std::span(whole)));
  EXPECT_EQ(check_request(rest), RequestVerdict::good);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(rest.data()) + sizeof(header), rest.size() - sizeof(header)),
            bytes(std::array<uint32_t, 2>{3, 1}) + "user.a\0val"s);
  set_current_request(reinterpret_cast<const fuse_in_header*>(rest.data()));
  EXPECT_TRUE(current_setxattr_kills_sgid());
  set_current_request(nullptr);
  EXPECT_FALSE(current_setxattr_kills_sgid());
  fuse_ioctl_in ioctl = {};
  ioctl.in_size = 4;
  EXPECT_EQ(check(FUSE_IOCTL, bytes(ioctl) + "1234"), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_IOCTL, bytes(ioctl) + "123"), RequestVerdict::malformed);
}

TEST(RequestCheck, AReadIsNoLongerThanWasAgreed) {
  fuse_read_in read = {};
  read.size = kTransferBytesMax;
  EXPECT_EQ(check(FUSE_READ, bytes(read)), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_READDIR, bytes(read)), RequestVerdict::good);
  ++read.size;
  EXPECT_EQ(check(FUSE_READ, bytes(read)), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_READDIRPLUS, bytes(read)), RequestVerdict::malformed);
}

TEST(RequestCheck, TheHeaderSaysHowMuchWasRead) {
  EXPECT_EQ(check(FUSE_STATFS, ""), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_STATFS, "", 1), RequestVerdict::malformed);
  EXPECT_EQ(check(FUSE_STATFS, "", -1), RequestVerdict::malformed);
}

TEST(RequestCheck, WhatHasNoAnswerIsNotRefusedButIgnored) {
  EXPECT_EQ(check(FUSE_FORGET, bytes(fuse_forget_in{})), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_FORGET, "short"), RequestVerdict::ignored);
  fuse_batch_forget_in batch = {};
  batch.count = 2;
  EXPECT_EQ(check(FUSE_BATCH_FORGET, bytes(batch) + bytes(fuse_forget_one{}) + bytes(fuse_forget_one{})),
            RequestVerdict::good);
  EXPECT_EQ(check(FUSE_BATCH_FORGET, bytes(batch) + bytes(fuse_forget_one{})),
            RequestVerdict::ignored);
  EXPECT_EQ(check(FUSE_INTERRUPT, bytes(fuse_interrupt_in{})), RequestVerdict::ignored);
}

TEST(RequestCheck, InitIsOfAProtocolThatWeKnow) {
  fuse_init_in init = {};
  init.major = FUSE_KERNEL_VERSION;
  init.minor = kProtocolMinorMin;
  EXPECT_EQ(check(FUSE_INIT, bytes(init)), RequestVerdict::good);
  --init.minor;
  EXPECT_EQ(check(FUSE_INIT, bytes(init)), RequestVerdict::malformed);
  init.major = FUSE_KERNEL_VERSION + 1;  // asks which one we speak
  EXPECT_EQ(check(FUSE_INIT, bytes(init)), RequestVerdict::good);
}

TEST(RequestCheck, WhatIsNotKnownIsLeftToLibfuse) {
  EXPECT_EQ(check(1000, ""), RequestVerdict::good);
  EXPECT_EQ(check(FUSE_SYNCFS, "12345678"), RequestVerdict::good);
}

}  // namespace
}  // namespace scalefs::fuse
