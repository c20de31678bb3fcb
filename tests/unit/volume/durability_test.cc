// What is there after a crash: each kind of call, with and without fsync.
#include <gtest/gtest.h>

#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

class Durability : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(m_.mount().ok()); }
  void crash() { m_.crash_and_mount(); }
  Status fsync(MnodeNo mnode) { return m_.volume->fsync(mnode, false); }

  Mounted m_;
};

TEST_F(Durability, FsyncOfAFileKeepsItsDataAndItsName) {
  const MnodeNo dir = m_.mkdir(kRootMnode, "dir");
  const MnodeNo file = m_.create(dir, "file");
  ASSERT_EQ(m_.write(file, 0, "hello"), 0);
  ASSERT_TRUE(fsync(file).ok());
  const memfs::Attr before = m_.attr(file);
  crash();
  const MnodeNo found = m_.find("dir/file");
  EXPECT_EQ(found, file);
  EXPECT_EQ(m_.attr(found), before);
  EXPECT_EQ(m_.read(found), "hello");
}

TEST_F(Durability, WhatWasNotSyncedIsGone) {
  m_.create(kRootMnode, "file");
  crash();
  EXPECT_FALSE(m_.exists("file"));
}

TEST_F(Durability, FsyncOfOneFileCommitsEarlierCallsOnOthers) {
  const MnodeNo a = m_.create(kRootMnode, "a");
  m_.create(kRootMnode, "b");
  ASSERT_TRUE(m_.fs().unlink(kRootMnode, "a").ok());
  const MnodeNo c = m_.create(kRootMnode, "c");
  ASSERT_TRUE(fsync(c).ok());
  crash();
  EXPECT_EQ(m_.names(kRootMnode), (std::vector<std::string>{"b", "c"}));
  (void)a;
}

TEST_F(Durability, LargeFileInPlaces) {
  const MnodeNo file = m_.create(kRootMnode, "large");
  std::string text;
  for (int i = 0; text.size() < (3 << 20) + 777; ++i) text += "line " + std::to_string(i) + "\n";
  ASSERT_EQ(m_.write(file, 0, text), 0);
  ASSERT_TRUE(fsync(file).ok());
  crash();
  EXPECT_EQ(m_.read(m_.find("large"), 0, text.size() + 100), text);
  m_.unmount_and_mount();
  EXPECT_EQ(m_.read(m_.find("large"), 0, text.size() + 100), text);
}

TEST_F(Durability, OverwritesAndAppendsAcrossManyFsyncs) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  std::string expected;
  for (int i = 0; i < 60; ++i) {
    const std::string text = "record " + std::to_string(i) + std::string(i * 13 % 700, 'x');
    ASSERT_EQ(m_.write(file, expected.size(), text), 0);
    expected += text;
    if (i % 5 == 0) {
      ASSERT_EQ(m_.write(file, 3, "OVER"), 0);
      expected.replace(3, 4, "OVER");
    }
    ASSERT_TRUE(fsync(file).ok());
    if (i % 20 == 10) {
      ASSERT_TRUE(m_.volume->step_checkpoint());
    }
  }
  crash();
  EXPECT_EQ(m_.read(m_.find("f")), expected);
}

TEST_F(Durability, TruncateIsDurableWithFsync) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_EQ(m_.write(file, 0, std::string(20000, 'a')), 0);
  ASSERT_TRUE(fsync(file).ok());
  memfs::SetAttr change;
  change.size = 5000;
  ASSERT_TRUE(m_.fs().setattr(file, change).ok());
  change.size = 9000;
  ASSERT_TRUE(m_.fs().setattr(file, change).ok());
  ASSERT_TRUE(fsync(file).ok());
  crash();
  EXPECT_EQ(m_.read(m_.find("f")), std::string(5000, 'a') + std::string(4000, '\0'));
}

TEST_F(Durability, AttributesXattrsAndSymlinks) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  memfs::SetAttr change;
  change.mode = 0600;
  change.uid = 12;
  change.gid = 34;
  change.mtime_ns = 1'000'000'007;
  change.atime_ns = 2'000'000'009;
  ASSERT_TRUE(m_.fs().setattr(file, change).ok());
  const std::string value = "value";
  ASSERT_TRUE(m_.fs()
                  .setxattr(file, "user.key", std::as_bytes(std::span(value)),
                            memfs::XattrMode::set)
                  .ok());
  ASSERT_TRUE(m_.fs().symlink(kRootMnode, "link", "some/target", memfs::Caller{}).ok());
  ASSERT_TRUE(m_.fs().mknod(kRootMnode, "dev", 020600, 0x105, memfs::Caller{}).ok());
  const memfs::Attr before = m_.attr(file);
  ASSERT_TRUE(fsync(kRootMnode).ok());
  crash();
  EXPECT_EQ(m_.attr(m_.find("f")), before);
  EXPECT_EQ(m_.fs().getxattr(file, "user.key")->size(), 5u);
  EXPECT_EQ(*m_.fs().readlink(m_.find("link")), "some/target");
  EXPECT_EQ(m_.attr(m_.find("dev")).rdev, 0x105u);
  ASSERT_TRUE(m_.fs().removexattr(m_.find("f"), "user.key").ok());
  ASSERT_TRUE(fsync(kRootMnode).ok());
  crash();
  EXPECT_EQ(m_.fs().getxattr(m_.find("f"), "user.key").code(), ENODATA);
}

TEST_F(Durability, LinksAndUnlinksKeepTheCount) {
  const MnodeNo file = m_.create(kRootMnode, "a");
  ASSERT_TRUE(m_.fs().link(file, kRootMnode, "b").ok());
  ASSERT_TRUE(fsync(file).ok());
  crash();
  EXPECT_EQ(m_.attr(m_.find("a")).nlink, 2u);
  EXPECT_EQ(m_.find("a"), m_.find("b"));
  ASSERT_TRUE(m_.fs().unlink(kRootMnode, "a").ok());
  ASSERT_TRUE(fsync(kRootMnode).ok());
  crash();
  EXPECT_FALSE(m_.exists("a"));
  EXPECT_EQ(m_.attr(m_.find("b")).nlink, 1u);
}

TEST_F(Durability, DirectoriesMoveWithTheirContent) {
  const MnodeNo a = m_.mkdir(kRootMnode, "a");
  const MnodeNo b = m_.mkdir(kRootMnode, "b");
  const MnodeNo sub = m_.mkdir(a, "sub");
  m_.create(sub, "file");
  ASSERT_TRUE(fsync(a).ok());
  ASSERT_TRUE(m_.fs()
                  .rename(a, "sub", b, "moved", memfs::RenameMode::replace, memfs::Caller{})
                  .ok());
  ASSERT_TRUE(fsync(a).ok());
  crash();
  EXPECT_TRUE(m_.exists("b/moved/file"));
  EXPECT_FALSE(m_.exists("a/sub"));
  EXPECT_EQ(m_.attr(m_.find("a")).nlink, 2u);
  EXPECT_EQ(m_.attr(m_.find("b")).nlink, 3u);
  EXPECT_EQ(m_.fs().lookup(m_.find("b/moved"), "..")->attr.mnode, m_.find("b"));
  ASSERT_TRUE(m_.fs().unlink(m_.find("b/moved"), "file").ok());
  ASSERT_TRUE(m_.fs().rmdir(m_.find("b"), "moved").ok());
  ASSERT_TRUE(fsync(kRootMnode).ok());
  crash();
  EXPECT_EQ(m_.names(m_.find("b")), std::vector<std::string>{});
}

TEST_F(Durability, RenameOverANameLeavesOldOrNewContentNeverAnEmptyFile) {
  const MnodeNo old_file = m_.create(kRootMnode, "config");
  ASSERT_EQ(m_.write(old_file, 0, "old"), 0);
  ASSERT_TRUE(fsync(old_file).ok());
  const MnodeNo new_file = m_.create(kRootMnode, "config.tmp");
  ASSERT_EQ(m_.write(new_file, 0, "new content"), 0);
  ASSERT_TRUE(m_.fs()
                  .rename(kRootMnode, "config.tmp", kRootMnode, "config",
                          memfs::RenameMode::replace, memfs::Caller{})
                  .ok());
  ASSERT_TRUE(m_.volume->step_commit());  // the periodic one, without writeback
  crash();
  EXPECT_EQ(m_.read(m_.find("config")), "new content");
  EXPECT_FALSE(m_.exists("config.tmp"));
}

TEST_F(Durability, RenameOverANameBringsASizeThatNoPageBrings) {
  const MnodeNo old_file = m_.create(kRootMnode, "config");
  ASSERT_EQ(m_.write(old_file, 0, "old"), 0);
  const MnodeNo new_file = m_.create(kRootMnode, "config.tmp");
  ASSERT_EQ(m_.write(new_file, 0, "new"), 0);
  ASSERT_TRUE(fsync(kRootMnode).ok());
  ASSERT_TRUE(fsync(new_file).ok());
  ASSERT_TRUE(m_.fs().allocate(new_file, memfs::AllocateMode::allocate, 0, 8192).ok());
  ASSERT_TRUE(m_.fs()
                  .rename(kRootMnode, "config.tmp", kRootMnode, "config",
                          memfs::RenameMode::replace, memfs::Caller{})
                  .ok());
  ASSERT_TRUE(m_.volume->step_commit());
  crash();
  EXPECT_EQ(m_.attr(m_.find("config")).size, 8192u);
  EXPECT_EQ(m_.read(m_.find("config")).substr(0, 3), "new");
}

TEST_F(Durability, ExchangeAndWhiteout) {
  const MnodeNo a = m_.create(kRootMnode, "a");
  const MnodeNo b = m_.create(kRootMnode, "b");
  ASSERT_TRUE(fsync(a).ok());
  ASSERT_TRUE(m_.fs()
                  .rename(kRootMnode, "a", kRootMnode, "b", memfs::RenameMode::exchange,
                          memfs::Caller{})
                  .ok());
  ASSERT_TRUE(m_.fs()
                  .rename(kRootMnode, "a", kRootMnode, "c", memfs::RenameMode::whiteout,
                          memfs::Caller{})
                  .ok());
  ASSERT_TRUE(fsync(kRootMnode).ok());
  crash();
  EXPECT_EQ(m_.find("b"), a);
  EXPECT_EQ(m_.find("c"), b);
  EXPECT_EQ(m_.attr(m_.find("a")).mode, 020000u);
}

TEST_F(Durability, HolesAndFallocate) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_EQ(m_.write(file, 1 << 20, "end"), 0);
  ASSERT_TRUE(m_.fs().allocate(file, memfs::AllocateMode::allocate, 0, 65536).ok());
  ASSERT_TRUE(fsync(file).ok());
  crash();
  const MnodeNo found = m_.find("f");
  EXPECT_EQ(m_.attr(found).size, (1u << 20) + 3);
  EXPECT_EQ(m_.attr(found).blocks, (16u + 1) * 8);
  EXPECT_EQ(m_.read(found, (1 << 20) - 2, 100), std::string("\0\0end", 5));
  ASSERT_TRUE(m_.fs().allocate(found, memfs::AllocateMode::punch_hole, 0, 32768).ok());
  ASSERT_TRUE(fsync(found).ok());
  crash();
  EXPECT_EQ(m_.attr(m_.find("f")).blocks, (8u + 1) * 8);
}

TEST_F(Durability, UnlinkedOpenFileIsReclaimedByTheNextMount) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_EQ(m_.write(file, 0, std::string(1 << 20, 'x')), 0);
  ASSERT_TRUE(fsync(file).ok());
  ASSERT_TRUE(m_.fs().unlink(kRootMnode, "f").ok());
  ASSERT_TRUE(fsync(kRootMnode).ok());
  EXPECT_EQ(m_.read(file, 0, 3), "xxx") << "still open";
  const uint64_t free = m_.volume->statfs().blocks_free;
  crash();
  while (m_.volume->step_commit() || m_.volume->step_checkpoint()) {
  }
  EXPECT_GE(m_.volume->statfs().blocks_free, free + 256);
}

TEST_F(Durability, TmpfileIsGoneUnlessItWasLinked) {
  const auto gone = m_.fs().tmpfile(kRootMnode, 0100600, memfs::Caller{});
  const auto kept = m_.fs().tmpfile(kRootMnode, 0100600, memfs::Caller{});
  ASSERT_TRUE(gone.ok() && kept.ok());
  ASSERT_EQ(m_.write(kept->attr.mnode, 0, "kept"), 0);
  ASSERT_TRUE(fsync(kept->attr.mnode).ok());
  ASSERT_TRUE(m_.fs().link(kept->attr.mnode, kRootMnode, "kept").ok());
  ASSERT_TRUE(fsync(kept->attr.mnode).ok());
  crash();
  EXPECT_EQ(m_.names(kRootMnode), std::vector<std::string>{"kept"});
  EXPECT_EQ(m_.read(m_.find("kept")), "kept");
  EXPECT_EQ(m_.attr(m_.find("kept")).nlink, 1u);
}

TEST_F(Durability, NumbersAreNeverGivenTwice) {
  std::vector<uint64_t> numbers;
  for (int mount = 0; mount < 4; ++mount) {
    for (int i = 0; i < 10; ++i) {
      const std::string name = "f" + std::to_string(mount) + "." + std::to_string(i);
      numbers.push_back(m_.create(kRootMnode, name).v);
    }
    // Every other time the creations are lost, their numbers are not.
    if (mount % 2 == 0) {
      ASSERT_TRUE(m_.volume->sync().ok());
    }
    crash();
  }
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

TEST_F(Durability, UnmountKeepsEverything) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_EQ(m_.write(file, 0, "data"), 0);
  m_.unmount_and_mount();
  EXPECT_EQ(m_.read(m_.find("f")), "data");
}

TEST_F(Durability, CallsAfterTheEndAreRefused) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_TRUE(m_.volume->unmount().ok());
  EXPECT_TRUE(m_.volume->unmount().ok());
  EXPECT_EQ(m_.write(file, 0, "x"), EIO);
  EXPECT_EQ(m_.fs().create(kRootMnode, "g", 0100644, true, memfs::Caller{}).code(), EIO);
  EXPECT_EQ(fsync(file).code(), EIO);
}

TEST_F(Durability, FsyncWithNothingToDoNeedsNoFlush) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_TRUE(fsync(file).ok());
  const uint64_t before = m_.flushes();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(fsync(file).ok());
  EXPECT_EQ(m_.flushes(), before);
}

TEST_F(Durability, SmallFsyncIsOneWriteAndOneFlush) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_TRUE(fsync(file).ok());
  using Call = diskfs::FaultDevice::Call;
  const uint64_t writes = m_.faults.calls(Call::write);
  const uint64_t flushes = m_.flushes();
  ASSERT_EQ(m_.write(file, 0, "small"), 0);
  ASSERT_TRUE(fsync(file).ok());
  EXPECT_EQ(m_.faults.calls(Call::write), writes + 1);
  EXPECT_EQ(m_.flushes(), flushes + 1);
}

TEST_F(Durability, FsyncAsyncAnswersOnce) {
  const MnodeNo file = m_.create(kRootMnode, "f");
  int calls = 0;
  m_.volume->fsync_async(file, false, [&](Status status) {
    EXPECT_TRUE(status.ok());
    ++calls;
  });
  EXPECT_EQ(calls, 1);
  crash();
  EXPECT_TRUE(m_.exists("f"));
}

}  // namespace
}  // namespace scalefs::volume
