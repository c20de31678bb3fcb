#include "tools/fsck.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "base/aligned_buffer.h"
#include "diskfs/diskfs.h"
#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/captured.h"
#include "tests/support/image_file.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"

namespace scalefs::tools {
namespace {

class FsckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.path = image_.path();
    options_.lock_wait_ms = 0;
  }

  // A volume with content; not unmounted in order unless asked for.
  void make_volume(bool unmount) {
    auto image = image_.device();
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
    auto image = image_.device();
    diskfs::ImageSurgeon surgeon(*image);
    surgeon.edit_inode(Ino(2), [](auto& item) { item.nlink = 7; });
    surgeon.finish();
  }
  Ino file_ino() {
    auto image = image_.device();
    std::string why;
    diskfs::MountOptions options;
    options.read_only = true;
    auto fs = diskfs::DiskFs::mount(*image, options, &why);
    EXPECT_TRUE(fs.ok()) << why;
    const uint64_t hash = siphash24((*fs)->info().hash_key, "file");
    return (*fs)->pin().reader().dirents(kRootIno, hash)->at(0).target.ino;
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

  const scalefs::testing::ImageFile image_{2048};
  std::string out_, err_;
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

TEST_F(FsckTest, DamageIsToldAndNotRepairedWithNobodyToAsk) {
  make_volume(true);
  damage();
  std::string before = content();
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_NE(out_.find("LINK-COUNT: inode 2 "), std::string::npos) << out_;
  EXPECT_NE(out_.find("1 error,"), std::string::npos) << out_;
  EXPECT_NE(err_.find("no terminal to ask at"), std::string::npos) << err_;
  EXPECT_TRUE(content() == before);
  options_.read_only = true;
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_EQ(err_, "");
  EXPECT_TRUE(content() == before);
}

TEST_F(FsckTest, RepairsWithY) {
  make_volume(true);
  damage();
  options_.yes = options_.force = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
  EXPECT_NE(out_.find("repair: LINK-COUNT: /directory"), std::string::npos) << out_;
  EXPECT_EQ(err_, "");
  const std::string repaired = content();
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_TRUE(content() == repaired) << "a check of a repaired volume writes nothing";
}

TEST_F(FsckTest, AsksAtATerminal) {
  make_volume(true);
  damage();
  std::string question;
  bool answer = false;
  options_.ask = [&](const std::string& text) {
    question = text;
    return answer;
  };
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_NE(question.find("write this repair"), std::string::npos) << question;
  EXPECT_NE(err_.find("as you said"), std::string::npos) << err_;
  EXPECT_NE(out_.find("repair: LINK-COUNT"), std::string::npos) << out_;
  answer = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
}

TEST_F(FsckTest, AutomaticRepairsOnlyWithoutLoss) {
  make_volume(true);
  damage();
  options_.automatic = options_.force = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
  {
    auto image = image_.device();
    diskfs::ImageSurgeon surgeon(*image);
    surgeon.edit_names(kRootIno, surgeon.hash("file"), [](auto& e) { e[0].target.ino.v = 500; });
    surgeon.finish();
  }
  EXPECT_EQ(run(), kFsckErrorsLeft) << out_ << err_;
  EXPECT_NE(out_.find("lost: DIRENT-TARGET: /file"), std::string::npos) << out_;
  EXPECT_NE(err_.find("without -p"), std::string::npos) << err_;
  options_.automatic = false;
  options_.yes = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
}

TEST_F(FsckTest, RefusesWhatHasNoSuperblock) {
  make_volume(true);
  {
    auto image = image_.device();
    AlignedBuffer bad(kBlockBytes);
    for (uint64_t place : diskfs::superblock_places(2048)) {
      ASSERT_TRUE(image->read(BlockNo(place), bad.span()).ok());
      bad.data()[300] ^= std::byte{1};
      ASSERT_TRUE(image->write(BlockNo(place), bad.span()).ok());
    }
  }
  options_.yes = true;
  EXPECT_EQ(run(), kFsckErrorsLeft);
  EXPECT_NE(err_.find("not repaired: no valid superblock"), std::string::npos) << err_;
}

TEST_F(FsckTest, DataIsReadWhenAskedFor) {
  make_volume(true);
  options_.data = true;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("3 blocks of data read, 0 damaged"), std::string::npos) << out_;
  const Ino file = file_ino();
  {
    auto image = image_.device();
    diskfs::ImageSurgeon surgeon(*image);
    diskfs::Mapping mapping;
    const auto value = surgeon.get(diskfs::Key(file, diskfs::ItemType::mapping, 4));
    ASSERT_TRUE(diskfs::decode_mapping(4, value, &mapping).ok());
    AlignedBuffer block(kBlockBytes);
    ASSERT_TRUE(image->read(mapping.block, block.span()).ok());
    block.data()[17] ^= std::byte{1};
    ASSERT_TRUE(image->write(mapping.block, block.span()).ok());
  }
  EXPECT_EQ(run(), kFsckErrorsLeft) << out_ << err_;
  EXPECT_NE(out_.find("DATA-CHECKSUM: /file: 1 of its blocks are damaged, the first at page 4"),
            std::string::npos)
      << out_;
  options_.data = false;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
}

TEST_F(FsckTest, OneObjectOfJson) {
  make_volume(true);
  damage();
  options_.yes = options_.json = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
  EXPECT_EQ(out_.find("{\"path\":\""), 0u) << out_;
  EXPECT_NE(out_.find("\"exit\":1,"), std::string::npos) << out_;
  EXPECT_NE(out_.find("\"findings\":[{\"code\":\"LINK-COUNT\",\"note\":false,"), std::string::npos)
      << out_;
  EXPECT_NE(out_.find("\"repairs\":[{\"code\":\"LINK-COUNT\""), std::string::npos) << out_;
  EXPECT_EQ(out_.find('\n'), out_.size() - 1) << out_;
}

TEST_F(FsckTest, ProgressForPrograms) {
  make_volume(true);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  options_.progress_fd = ends[1];
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  close(ends[1]);
  char text[4096] = {};
  EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
  close(ends[0]);
  EXPECT_NE(std::string(text).find("1 9 9 " + options_.path + "\n"), std::string::npos) << text;
}

TEST_F(FsckTest, AutomaticPassesWhatWasUnmountedInOrder) {
  make_volume(true);
  damage();
  options_.automatic = true;
  EXPECT_EQ(run(), kFsckClean) << out_ << err_;
  options_.force = true;
  EXPECT_EQ(run(), kFsckRepaired) << out_ << err_;
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
    auto holder = image_.device();
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
  options_.path = image_.folder() + "/none";
  EXPECT_EQ(run(), kFsckOperational);
}

}  // namespace
}  // namespace scalefs::tools
