// Operations over a memory-only volume: what each request answers, and what it does to lookup counts.
#include "fuse/operations.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstring>

#include "tests/unit/fuse/recorded_reply.h"

namespace scalefs::fuse {
namespace {

using Kind = RecordedReply::Kind;

class OperationsTest : public ::testing::Test {
 protected:
  MnodeNo make_file(std::string_view name) {
    ops_.create(context_, kRootMnode, name, S_IFREG | 0644, O_RDWR, reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::created);
    return reply_.given.mnode;
  }
  void write(MnodeNo file, uint64_t offset, std::string_view text) {
    ops_.write(file, offset, std::as_bytes(std::span(text)), {}, reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::written);
    EXPECT_EQ(reply_.number, text.size());
  }
  std::string read(MnodeNo file, uint64_t offset, size_t bytes) {
    ops_.read(file, offset, bytes, memfs::Atime::moves, reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::filled);
    return reply_.bytes;
  }
  Attr attr(MnodeNo mnode) {
    ops_.getattr(mnode, reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::attr);
    return reply_.given;
  }
  // True when nothing is left of the object after it lost its names and lookups.
  bool gone(MnodeNo mnode) {
    while (volume_->fs().maintain()) {
    }
    ops_.getattr(mnode, reply_.responder());
    return reply_.error_code() == ESTALE;
  }

  std::unique_ptr<volume::Volume> volume_ =
      volume::Volume::memory(volume::VolumeOptions{.threads = false});
  void forget(MnodeNo mnode) {
    const memfs::Lookups one = {mnode, 1};
    ops_.forget({&one, 1});
  }
  Operations ops_{*volume_, Operations::Settings{}};
  RecordedReply reply_;
  Context context_{.uid = 10, .gid = 20, .umask = 022, .pid = 1};
};

TEST_F(OperationsTest, AnAbsentNameIsToldSoThatItCanBeRemembered) {
  ops_.lookup(kRootMnode, "none", reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::no_entry);
  ops_.lookup(kRootMnode, std::string(256, 'n'), reply_.responder());
  EXPECT_EQ(reply_.error_code(), ENAMETOOLONG);
}

TEST_F(OperationsTest, CreateGivesAnOwnerAndAppliesTheUmask) {
  ops_.create(context_, kRootMnode, "file", S_IFREG | 0666, O_RDWR, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::created);
  EXPECT_EQ(reply_.given.uid, 10u);
  EXPECT_EQ(reply_.given.gid, 20u);
  EXPECT_EQ(reply_.given.mode, static_cast<uint32_t>(S_IFREG | 0644));
  EXPECT_TRUE(reply_.mode.keep_cache);
  EXPECT_TRUE(reply_.mode.no_flush);
  ops_.create(context_, kRootMnode, "file", S_IFREG | 0666, O_RDWR | O_EXCL, reply_.responder());
  EXPECT_EQ(reply_.error_code(), EEXIST);
}

TEST_F(OperationsTest, CreateOfAnExistingNameOpensAndTruncatesIt) {
  const MnodeNo file = make_file("file");
  write(file, 0, "content");
  ops_.create(context_, kRootMnode, "file", S_IFREG | 0600, O_WRONLY, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::created);
  EXPECT_EQ(reply_.given.mnode, file);
  EXPECT_EQ(reply_.given.size, 7u);
  ops_.create(context_, kRootMnode, "file", S_IFREG | 0600, O_WRONLY | O_TRUNC,
              reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::created);
  EXPECT_EQ(reply_.given.size, 0u);
}

TEST_F(OperationsTest, OpenTruncatesWhenAskedTo) {
  const MnodeNo file = make_file("file");
  write(file, 0, "content");
  ops_.open(file, O_RDWR, false, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::opened);
  EXPECT_EQ(attr(file).size, 7u);
  ops_.open(file, O_RDWR | O_TRUNC, false, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::opened);
  EXPECT_EQ(attr(file).size, 0u);
}

TEST_F(OperationsTest, AnObjectLivesUntilItsLastNameAndLookupAreGone) {
  const MnodeNo file = make_file("file");
  ops_.lookup(kRootMnode, "file", reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::entry);
  ops_.unlink(kRootMnode, "file", reply_.responder());
  ASSERT_EQ(reply_.error_code(), 0);
  forget(file);
  EXPECT_FALSE(gone(file));
  write(file, 0, "still here");
  EXPECT_EQ(read(file, 0, 100), "still here");
  forget(file);
  EXPECT_TRUE(gone(file));
}

TEST_F(OperationsTest, AnAnswerThatDidNotArriveLeavesNoLookup) {
  reply_.arrives = false;
  ops_.create(context_, kRootMnode, "file", S_IFREG | 0644, O_RDWR, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::created);
  const MnodeNo file = reply_.given.mnode;
  ops_.lookup(kRootMnode, "file", reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::entry);
  ops_.readdirplus(kRootMnode, 0, 4096, memfs::Atime::moves, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::listing);
  ops_.unlink(kRootMnode, "file", reply_.responder());
  EXPECT_TRUE(gone(file));
}

TEST_F(OperationsTest, AListingThatIsFullGoesOnWhereItEnded) {
  for (int i = 0; i < 100; ++i) make_file("name-" + std::to_string(i));
  std::vector<std::string> names;
  uint64_t cookie = 0;
  for (int calls = 0;; ++calls) {
    ASSERT_LT(calls, 100);
    ops_.readdir(kRootMnode, cookie, 300, memfs::Atime::moves, reply_.responder());
    ASSERT_EQ(reply_.kind(), Kind::listing);
    if (reply_.names.empty()) break;
    names.insert(names.end(), reply_.names.begin(), reply_.names.end());
    cookie = reply_.cookies.back();
  }
  EXPECT_EQ(names.size(), 102u);
  EXPECT_EQ(names[0], ".");
  EXPECT_EQ(names[1], "..");
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
}

TEST_F(OperationsTest, AnEntryThatDidNotFitGainsNoLookup) {
  std::vector<MnodeNo> files;
  for (int i = 0; i < 20; ++i) files.push_back(make_file("name-" + std::to_string(i)));
  // One entry has about 170 bytes: some of them fit.
  ops_.readdirplus(kRootMnode, 0, 1000, memfs::Atime::moves, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::listing);
  std::vector<std::string> listed = reply_.names;
  ASSERT_GT(listed.size(), 3u);
  ASSERT_LT(listed.size(), 10u);
  EXPECT_FALSE(reply_.attrs[0]);  // "." and ".." bring none
  EXPECT_FALSE(reply_.attrs[1]);
  EXPECT_TRUE(reply_.attrs[2]);
  for (int i = 0; i < 20; ++i) {
    const std::string name = "name-" + std::to_string(i);
    ops_.unlink(kRootMnode, name, reply_.responder());
    forget(files[i]);
    const bool given = std::find(listed.begin(), listed.end(), name) != listed.end();
    EXPECT_EQ(gone(files[i]), !given) << name;
    if (given) {
      forget(files[i]);
      EXPECT_TRUE(gone(files[i])) << name;
    }
  }
}

TEST_F(OperationsTest, RenameFlagsAreThoseOfTheManualPage) {
  make_file("a");
  make_file("b");
  const auto rename = [&](const char* from, const char* to, uint32_t flags) {
    ops_.rename(context_, kRootMnode, from, kRootMnode, to, flags, reply_.responder());
    return reply_.error_code();
  };
  EXPECT_EQ(rename("a", "b", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(rename("a", "b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(rename("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  EXPECT_EQ(rename("a", "b", 8), EINVAL);
  EXPECT_EQ(rename("a", "c", RENAME_WHITEOUT), 0);
  EXPECT_EQ(rename("c", "b", 0), 0);
  ops_.lookup(kRootMnode, "a", reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::entry);
  EXPECT_TRUE(S_ISCHR(reply_.given.mode));
}

TEST_F(OperationsTest, ReadFillsTheTransportsBufferUpToTheEnd) {
  const MnodeNo file = make_file("file");
  write(file, 5000, "end");
  EXPECT_EQ(read(file, 4998, 100), std::string("\0\0end", 5));
  EXPECT_EQ(read(file, 5003, 100), "");
  reply_.out_of_memory = true;
  EXPECT_THROW(ops_.read(file, 0, 100, memfs::Atime::moves, reply_.responder()), std::bad_alloc);
  EXPECT_EQ(reply_.error_code(), ENOMEM);
}

TEST_F(OperationsTest, ChownAndEmptySetattrDropTheSetIdBits) {
  const MnodeNo file = make_file("file");
  const auto set = [&](const memfs::SetAttr& change) {
    ops_.setattr(context_, file, change, reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::attr);
    return reply_.given.mode & 07777u;
  };
  memfs::SetAttr mode, owner, time;
  mode.mode = 06755;
  owner.uid = 99;
  time.mtime_ns = 5;
  EXPECT_EQ(set(mode), 06755u);
  EXPECT_EQ(set(time), 06755u);
  EXPECT_EQ(set(owner), 0755u);
  EXPECT_EQ(set(mode), 06755u);
  // A request that sets nothing may be anybody's chown to nobody: only the owner and root drop bits by it.
  EXPECT_EQ(set(memfs::SetAttr{}), 06755u);
  context_.uid = 99;
  EXPECT_EQ(set(memfs::SetAttr{}), 0755u);
  EXPECT_EQ(set(mode), 06755u);
  context_.uid = 0;
  EXPECT_EQ(set(memfs::SetAttr{}), 0755u);
  EXPECT_EQ(set(mode), 06755u);
  ops_.fallocate(context_, file, 0, 0, 1, reply_.responder());
  EXPECT_EQ(attr(file).mode & 07777u, 06755u);
  // Who changes content drops them, whosever the file is.
  context_.uid = 10;
  ops_.fallocate(context_, file, 0, 0, 2, reply_.responder());
  EXPECT_EQ(attr(file).mode & 07777u, 0755u);
  EXPECT_EQ(set(mode), 06755u);
  const MnodeNo source = make_file("source");
  ops_.copy_file_range(context_, source, 0, file, 0, 1, 0, reply_.responder());
  EXPECT_EQ(attr(file).mode & 07777u, 0755u);
  EXPECT_EQ(set(mode), 06755u);
  ops_.write(file, 0, std::as_bytes(std::span("x", 1)), {}, reply_.responder());
  EXPECT_EQ(attr(file).mode & 07777u, 06755u);
  ops_.write(file, 0, std::as_bytes(std::span("x", 1)), {.kill_set_id = true}, reply_.responder());
  EXPECT_EQ(attr(file).mode & 07777u, 0755u);
}

TEST_F(OperationsTest, ExtendedAttributesHonourTheCallersSize) {
  const MnodeNo file = make_file("file");
  const auto set = [&](const char* name, std::string_view value, int flags) {
    ops_.setxattr(file, name, std::as_bytes(std::span(value)), flags, false, reply_.responder());
    return reply_.error_code();
  };
  EXPECT_EQ(set("user.a", "value", 0), 0);
  EXPECT_EQ(set("user.a", "value", XATTR_CREATE), EEXIST);
  EXPECT_EQ(set("user.b", "value", XATTR_REPLACE), ENODATA);
  EXPECT_EQ(set("user.b", "value", XATTR_CREATE | XATTR_REPLACE), ENODATA);
  EXPECT_EQ(set("user.a", "other", XATTR_CREATE | XATTR_REPLACE), EEXIST);
  EXPECT_EQ(set("user.a", "other", 4), EINVAL);
  ops_.getxattr(Context{}, file, "user.a", 0, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::xattr_size);
  EXPECT_EQ(reply_.number, 5u);
  ops_.getxattr(Context{}, file, "user.a", 4, reply_.responder());
  EXPECT_EQ(reply_.error_code(), ERANGE);
  ops_.getxattr(Context{}, file, "user.a", 5, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::data);
  EXPECT_EQ(reply_.bytes, "value");
  ops_.listxattr(context_, file, 0, reply_.responder());
  EXPECT_EQ(reply_.number, 7u);
  ops_.listxattr(context_, file, 6, reply_.responder());
  EXPECT_EQ(reply_.error_code(), ERANGE);
  ops_.listxattr(context_, file, 7, reply_.responder());
  EXPECT_EQ(reply_.bytes, std::string("user.a\0", 7));
  // Trusted ones are root's.
  EXPECT_EQ(set("trusted.b", "value", 0), 0);
  ops_.listxattr(context_, file, 0, reply_.responder());
  EXPECT_EQ(reply_.number, 7u);
  ops_.listxattr(Context{}, file, 0, reply_.responder());
  EXPECT_EQ(reply_.number, 17u);
  ops_.removexattr(file, "user.a", reply_.responder());
  EXPECT_EQ(reply_.error_code(), 0);
  ops_.getxattr(Context{}, file, "user.a", 0, reply_.responder());
  EXPECT_EQ(reply_.error_code(), ENODATA);
}

TEST_F(OperationsTest, FallocateKnowsFiveModes) {
  const MnodeNo file = make_file("file");
  const auto allocate = [&](int mode) {
    ops_.fallocate(context_, file, mode, 0, 8192, reply_.responder());
    return reply_.error_code();
  };
  EXPECT_EQ(allocate(FALLOC_FL_KEEP_SIZE), 0);
  EXPECT_EQ(attr(file).size, 0u);
  EXPECT_EQ(allocate(0), 0);
  EXPECT_EQ(attr(file).size, 8192u);
  EXPECT_EQ(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE), 0);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE), 0);
  for (int mode : {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
                   FALLOC_FL_UNSHARE_RANGE, FALLOC_FL_NO_HIDE_STALE}) {
    EXPECT_EQ(allocate(mode), EOPNOTSUPP) << mode;
  }
}

TEST_F(OperationsTest, SeekFindsDataAndHoles) {
  const MnodeNo file = make_file("file");
  write(file, 8192, "data");
  ops_.lseek(file, 0, SEEK_DATA, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::offset);
  EXPECT_EQ(reply_.number, 8192u);
  ops_.lseek(file, 0, SEEK_HOLE, reply_.responder());
  EXPECT_EQ(reply_.number, 0u);
  ops_.lseek(file, 9000, SEEK_DATA, reply_.responder());
  EXPECT_EQ(reply_.error_code(), ENXIO);
  ops_.lseek(file, 0, SEEK_SET, reply_.responder());
  EXPECT_EQ(reply_.error_code(), EINVAL);
}

TEST_F(OperationsTest, CopyFileRangeCopies) {
  const MnodeNo source = make_file("source");
  const MnodeNo target = make_file("target");
  write(source, 0, "0123456789");
  ops_.copy_file_range(context_, source, 2, target, 1, 5, 0, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::written);
  EXPECT_EQ(reply_.number, 5u);
  EXPECT_EQ(read(target, 0, 100), std::string("\0" "23456", 6));
  ops_.copy_file_range(context_, source, 0, target, 0, 1, 1, reply_.responder());
  EXPECT_EQ(reply_.error_code(), EINVAL);
}

TEST_F(OperationsTest, CopyFileRangeLeavesPagesThatItWouldChangeInPartToTheKernel) {
  const MnodeNo source = make_file("source");
  const MnodeNo target = make_file("target");
  write(source, 0, std::string(20'000, 's'));
  write(target, 0, std::string(30'000, 't'));
  const auto copy = [&](uint64_t from, uint64_t to, uint64_t bytes) {
    ops_.copy_file_range(context_, source, from, target, to, bytes, 0, reply_.responder());
    return reply_.kind() == Kind::written ? static_cast<int64_t>(reply_.number) : -reply_.error_code();
  };
  EXPECT_EQ(copy(0, 1, 8192), -EXDEV);
  EXPECT_EQ(copy(0, 29'999, 8192), -EXDEV);
  EXPECT_EQ(copy(0, 0, 100), -EXDEV);
  EXPECT_EQ(copy(0, 0, 10'000), -EXDEV);
  EXPECT_EQ(copy(0, 0, 30'000), -EXDEV);  // the source ends before the page does
  EXPECT_EQ(copy(20'000, 0, 10), 0);
  EXPECT_EQ(copy(1, 4096, 8192), 8192);
  EXPECT_EQ(read(target, 0, 30'000), std::string(4096, 't') + std::string(8192, 's') + std::string(17'712, 't'));
  // To the end of the file and beyond there is no rest.
  EXPECT_EQ(copy(0, 28'672, 1'328), 1'328);
  EXPECT_EQ(copy(1, 28'672, 1'329), 1'329);
  EXPECT_EQ(copy(0, 32'769, 5), 5);
  EXPECT_EQ(attr(target).size, 32'774u);
}

TEST_F(OperationsTest, FsyncIsAnswered) {
  const MnodeNo file = make_file("file");
  ops_.fsync(file, false, reply_.responder());
  EXPECT_EQ(reply_.error_code(), 0);
  ops_.fsync(kRootMnode, false, reply_.responder());  // by another thread
  EXPECT_EQ(reply_.error_code(), 0);
  ops_.finish();
}

TEST_F(OperationsTest, SynchronousNamesAnswerAlike) {
  Operations sync(*volume_, Operations::Settings{.sync_names = true});
  sync.mkdir(context_, kRootMnode, "dir", 0755, reply_.responder());
  ASSERT_EQ(reply_.kind(), Kind::entry);
  const MnodeNo dir = reply_.given.mnode;
  sync.create(context_, dir, "file", S_IFREG | 0644, O_RDWR, reply_.responder());
  EXPECT_EQ(reply_.kind(), Kind::created);
  sync.unlink(dir, "file", reply_.responder());
  EXPECT_EQ(reply_.error_code(), 0);
  sync.unlink(dir, "file", reply_.responder());
  EXPECT_EQ(reply_.error_code(), ENOENT);
}

TEST_F(OperationsTest, FlagsThatTheKernelWouldNotKeepAreRefused) {
  const MnodeNo file = make_file("file");
  const auto set = [&](uint32_t flags) {
    ops_.ioctl(file,
               {.command = static_cast<uint32_t>(FS_IOC_SETFLAGS),
                .input = std::as_bytes(std::span(&flags, 1)),
                .output_bytes = 0},
               reply_.responder());
    return reply_.kind() == Kind::data ? 0 : reply_.code;
  };
  const auto get = [&] {
    ops_.ioctl(file,
               {.command = static_cast<uint32_t>(FS_IOC_GETFLAGS), .input = {}, .output_bytes = 8},
               reply_.responder());
    EXPECT_EQ(reply_.kind(), Kind::data);
    uint32_t flags = 0;
    std::memcpy(&flags, reply_.bytes.data(), sizeof(flags));
    return flags;
  };
  EXPECT_EQ(set(FS_NODUMP_FL), 0);
  EXPECT_EQ(get(), static_cast<uint32_t>(FS_NODUMP_FL));
  EXPECT_EQ(set(FS_IMMUTABLE_FL), EOPNOTSUPP);
  EXPECT_EQ(get(), static_cast<uint32_t>(FS_NODUMP_FL));
  ops_.ioctl(file, {.command = 0x1234, .input = {}, .output_bytes = 0}, reply_.responder());
  EXPECT_EQ(reply_.error_code(), ENOTTY);
}

TEST_F(OperationsTest, AnIoctlAnswersNoMoreThanItsCallerHasRoomFor) {
  const MnodeNo file = make_file("file");
  const auto get = [&](uint64_t command, size_t room) {
    ops_.ioctl(file, {.command = static_cast<uint32_t>(command), .input = {}, .output_bytes = room},
               reply_.responder());
    return reply_.kind() == Kind::data ? 0 : reply_.code;
  };
  EXPECT_EQ(get(FS_IOC_GETFLAGS, 4), 0);
  EXPECT_EQ(get(FS_IOC_GETFLAGS, 3), EINVAL);
  EXPECT_EQ(get(FS_IOC_FSGETXATTR, sizeof(fsxattr)), 0);
  EXPECT_EQ(get(FS_IOC_FSGETXATTR, sizeof(fsxattr) - 1), EINVAL);
}

TEST_F(OperationsTest, OnlyRootShutsDown) {
  ops_.shutdown(context_, ShutdownMode::no_flush, reply_.responder());
  EXPECT_EQ(reply_.error_code(), EPERM);
  ops_.shutdown(Context{}, static_cast<ShutdownMode>(9), reply_.responder());
  EXPECT_EQ(reply_.error_code(), EINVAL);
}

}  // namespace
}  // namespace scalefs::fuse
