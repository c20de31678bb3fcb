#include "tools/fsck.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "diskfs/diskfs.h"
#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/captured.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"

namespace scalefs::tools {
namespace {

class FsckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/scalefs_fsck_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    options_.path = folder_ + "/image";
    options_.lock_wait_ms = 0;
    int fd = open(options_.path.c_str(), O_CREAT | O_RDWR, 0600);
    ASSERT_EQ(ftruncate(fd, 2048 * kBlockBytes), 0);
    close(fd);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<diskfs::FileDevice> device() {
    std::string why;
    auto opened = diskfs::FileDevice::open(options_.path, {}, &why);
    EXPECT_TRUE(opened.ok()) << why;
    return std::move(*opened);
  }
  // A volume with content; not unmounted in order unless asked for.
  void make_volume(bool unmount) {
    auto image = device();
    diskfs::format_small(*image);
    std::string why;
    auto fs = diskfs::DiskFs::mount(*image, {}, &why);
    ASSERT_TRUE(fs.ok()) << why;
    diskfs::RandomVolume sample(**fs, 1);
    sample.fill();
    if (unmount) {
      ASSERT_TRUE((*fs)->unmount().ok());
    }
  }
  void damage() {
    auto image = device();
    diskfs::ImageSurgeon surgeon(*image);
    surgeon.edit_inode(Ino(2), [](auto& item) { item.nlink = 7; });
    surgeon.finish();
  }
  int run() {
    return captured([&](FILE* out, FILE* err) { return run_fsck(options_, out, err); }, &out_, &err_);
  }
  std::string content() {
    std::ifstream file(options_.path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  std::string folder_, out_, err_;
  FsckOptions options_;
};

TEST_F(FsckTest, CleanVolume) {
  make_volume(true);
  std::string before = content();
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("clean, 9 inodes (3 directories, 1 orphans)"), std::string::npos) << out_;
  EXPECT_EQ(err_, "");
  EXPECT_TRUE(content() == before) << "a check of a clean volume writes nothing";
}

TEST_F(FsckTest, NeverWritesWithN) {
  make_volume(false);
  ASSERT_EQ(chmod(options_.path.c_str(), 0444), 0);
  std::string before = content();
  options_.read_only = true;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("3 batches of the journal were replayed in memory"), std::string::npos)
      << out_;
  EXPECT_TRUE(content() == before);
}

TEST_F(FsckTest, ReplaysTheJournalOtherwise) {
  make_volume(false);
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("replayed 3 batches"), std::string::npos) << out_;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_EQ(out_.find("replayed"), std::string::npos) << out_;
}

TEST_F(FsckTest, DamageIsToldAndNotRepaired) {
  make_volume(true);
  damage();
  std::string before = content();
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_NE(out_.find("LINK-COUNT: inode 2 "), std::string::npos) << out_;
  EXPECT_NE(out_.find("1 error,"), std::string::npos) << out_;
  EXPECT_NE(err_.find("repair is not implemented"), std::string::npos) << err_;
  EXPECT_TRUE(content() == before);
  options_.read_only = true;
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_EQ(err_, "");
}

TEST_F(FsckTest, AutomaticPassesWhatWasUnmountedInOrder) {
  make_volume(true);
  damage();
  options_.automatic = true;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  options_.force = true;
  EXPECT_EQ(run(), kFsckErrorsLeft);
  options_.force = false;
  make_volume(false);
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("replayed 3 batches"), std::string::npos) << out_;
}

TEST_F(FsckTest, WhatCannotBeChecked) {
  EXPECT_EQ(run(), kFsckOperational);
  EXPECT_NE(err_.find("not a scalefs volume"), std::string::npos) << err_;
  make_volume(true);
  {
    auto holder = device();
    EXPECT_EQ(run(), kFsckOperational);
    EXPECT_NE(err_.find("in use by process " + std::to_string(getpid())), std::string::npos)
        << err_;
    options_.read_only = true;
    EXPECT_EQ(run(), kFsckOperational);
    options_.read_only = false;
  }
  ASSERT_EQ(truncate(options_.path.c_str(), 1000 * kBlockBytes), 0);
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_NE(out_.find("SB-TRUNCATED"), std::string::npos) << out_;
  options_.path = folder_ + "/none";
  EXPECT_EQ(run(), kFsckOperational);
}

}  // namespace
}  // namespace scalefs::tools
