// scalefs-image: nothing that users would not want to show is in the copy, and the checker finds in it what it
// finds in the volume.
#include "tools/image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "diskfs/check/check.h"
#include "diskfs/items.h"
#include "diskfs/stand_in.h"
#include "diskfs/tree_walk.h"
#include "tests/support/captured.h"
#include "tests/support/image_file.h"
#include "tests/support/repair_damages.h"
#include "tests/support/sample_volume.h"
#include "tools/dump.h"
#include "tools/fsck.h"
#include "volume/volume.h"

namespace scalefs::tools {
namespace {

using scalefs::testing::ImageFile;
using scalefs::testing::Listing;

constexpr HashKey kKey{77, 78};

std::multiset<std::string> codes_of(diskfs::BlockDevice& device) {
  std::string why;
  const auto report = diskfs::check_volume(device, &why);
  EXPECT_TRUE(report.ok()) << why;
  std::multiset<std::string> codes;
  if (!report.ok()) return codes;
  for (const auto& finding : report->findings.list()) {
    codes.insert(diskfs::code_name(finding.code));
  }
  codes.insert(std::to_string(report->inodes) + " inodes, " + std::to_string(report->names) +
               " names, " + std::to_string(report->batches_replayed) + " batches");
  return codes;
}

class ImageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.source = image_.path();
    options_.dest = image_.folder() + "/copy";
    options_.lock_wait_ms = 0;
  }
  // A checkpoint, and changes that stand in the journal alone.
  Listing make_volume() {
    auto image = image_.device();
    diskfs::format_small(*image, 1024);
    std::string why;
    auto fs = diskfs::DiskFs::mount(*image, {}, &why);
    EXPECT_TRUE(fs.ok()) << why;
    scalefs::testing::SampleVolume sample(**fs);
    sample.fill();
    EXPECT_TRUE((*fs)->checkpoint().ok());
    Listing listing = sample.listing();
    sample.change();
    listing.merge(sample.listing());
    return listing;
  }
  int run() {
    return captured([&](FILE* out, FILE* err) { return run_image(options_, out, err); }, &out_,
                    &err_);
  }
  int dump(DumpOptions::What what, const std::string& target = {}) {
    DumpOptions options;
    options.path = options_.dest;
    options.what = what;
    options.target = target;
    options.verbose = true;
    return captured([&](FILE* out, FILE* err) { return run_dump(options, out, err); }, &out_, &err_);
  }
  std::unique_ptr<diskfs::FileDevice> copy() {
    std::string why;
    auto opened = diskfs::FileDevice::open(options_.dest, {}, &why);
    EXPECT_TRUE(opened.ok()) << why;
    return std::move(*opened);
  }

  ImageFile image_{8192};
  ImageOptions options_;
  std::string out_, err_;
};

TEST_F(ImageTest, NothingThatUsersHaveIsInIt) {
  const Listing listing = make_volume();
  ASSERT_EQ(run(), kImageDone) << err_;
  std::ostringstream read;
  read << std::ifstream(options_.dest, std::ios::binary).rdbuf();
  const std::string bytes = read.str();
  ASSERT_EQ(bytes.size(), 8192 * kBlockBytes);
  const auto absent = [&](const std::string& text, const std::string& of) {
    if (text.size() < 6) return;  // there by chance
    EXPECT_EQ(bytes.find(text), std::string::npos) << of;
  };
  size_t names = 0;
  for (const auto& [path, object] : listing) {
    absent(path.substr(path.rfind('/') + 1), path);
    ++names;
    // Some bytes of each page, wherever they would stand.
    for (size_t at = 0; at < object.data.size(); at += kBlockBytes) {
      const std::string piece = object.data.substr(at, 24);
      if (piece.find_first_not_of('\0') != std::string::npos) absent(piece, path);
    }
    for (const auto& [name, value] : object.xattrs) {
      absent(name.substr(name.find('.') + 1), path);
      absent(value.substr(0, 24), path + " " + name);
    }
  }
  EXPECT_GT(names, 300u);
  struct stat info {};
  ASSERT_EQ(stat(options_.dest.c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 2 << 20);  // of 32 MiB
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ImageTest, TheToolsReadIt) {
  const Listing listing = make_volume();
  ASSERT_EQ(run(), kImageDone) << err_;
  EXPECT_EQ(codes_of(*copy()), codes_of(*image_.device()));
  EXPECT_EQ(dump(DumpOptions::What::super), kDumpDone) << err_;
  EXPECT_EQ(dump(DumpOptions::What::journal), kDumpDone) << err_;
  EXPECT_NE(out_.find("put_dirent"), std::string::npos) << out_;
  EXPECT_EQ(dump(DumpOptions::What::tree), kDumpDone) << err_;
  EXPECT_EQ(dump(DumpOptions::What::dir, "/"), kDumpDone) << err_;
  // By the names that the copy shows.
  std::string why;
  const auto sb = diskfs::read_newest_superblock(*image_.device(), &why);
  ASSERT_TRUE(sb.ok());
  const std::string name =
      diskfs::stand_in_name(siphash24(sb->hash_key, "blocks"), std::string("blocks").size());
  EXPECT_NE(out_.find(name), std::string::npos) << name << "\n" << out_;
  EXPECT_EQ(dump(DumpOptions::What::inode, "/" + name), kDumpDone) << err_;
  EXPECT_EQ(dump(DumpOptions::What::inode, "/blocks"), kDumpNoSuch);
}

TEST_F(ImageTest, FsckReadsItAndRepairsNothing) {
  make_volume();
  ASSERT_EQ(run(), kImageDone) << err_;
  FsckOptions fsck;
  fsck.path = options_.dest;
  fsck.yes = fsck.data = true;
  fsck.lock_wait_ms = 0;
  const auto check = [&] {
    return captured([&](FILE* out, FILE* err) { return run_fsck(fsck, out, err); }, &out_, &err_);
  };
  EXPECT_EQ(check(), kFsckClean) << out_ << err_;
  EXPECT_NE(out_.find("has no data"), std::string::npos) << out_;
  {
    auto device = copy();
    std::string why;
    const auto sb = diskfs::read_newest_superblock(*device, &why);
    ASSERT_TRUE(sb.ok());
    const std::vector<std::byte> zeros(kBlockBytes);
    ASSERT_TRUE(device->write(sb->root.block, zeros).ok());
  }
  EXPECT_EQ(check(), kFsckErrorsLeft) << out_ << err_;
  EXPECT_NE(out_.find("TREE-CHECKSUM"), std::string::npos) << out_;
}

TEST_F(ImageTest, NoMountTakesIt) {
  make_volume();
  ASSERT_EQ(run(), kImageDone) << err_;
  auto device = copy();
  std::string why;
  for (const bool read_only : {false, true}) {
    volume::VolumeOptions options;
    options.threads = false;
    options.read_only = read_only;
    EXPECT_EQ(volume::Volume::mount(*device, options, &why).code(), ENOTSUP);
    EXPECT_NE(why.find("metadata image"), std::string::npos) << why;
  }
}

TEST_F(ImageTest, WhatIsRefused) {
  EXPECT_EQ(run(), kImageOperational);  // zeros
  EXPECT_FALSE(std::ifstream(options_.dest).is_open());
  make_volume();
  ASSERT_EQ(run(), kImageDone) << err_;
  EXPECT_EQ(run(), kImageOperational);  // exists
  EXPECT_NE(err_.find("File exists"), std::string::npos) << err_;
  // A copy of a copy would not have the names that its hashes say.
  options_.source = options_.dest;
  options_.dest += "2";
  EXPECT_EQ(run(), kImageOperational);
  EXPECT_FALSE(std::ifstream(options_.dest).is_open());
  options_.source = "/nowhere/at all";
  EXPECT_EQ(run(), kImageOperational);
}

// Names that stand for others show what the checker looks at.
TEST(StandIn, FollowsFromTheHash) {
  EXPECT_EQ(diskfs::stand_in_name(5, 255).size(), 255u);
  EXPECT_EQ(diskfs::stand_in_name(5, 20).substr(0, 12), diskfs::stand_in_name(5, 12));
  EXPECT_NE(diskfs::stand_in_name(5, 12), diskfs::stand_in_name(6, 12));
  EXPECT_EQ(diskfs::stand_in_xattr_name(5, "user.abc").substr(0, 5), "user.");
  EXPECT_EQ(diskfs::stand_in_xattr_name(5, "user.abc").size(), 8u);
  EXPECT_EQ(diskfs::stand_in_xattr_name(5, "nodot").size(), 5u);
}

class ImageOfDamage : public ::testing::TestWithParam<size_t> {};

TEST_P(ImageOfDamage, HasTheSameFindings) {
  scalefs::testing::RepairSample sample;
  const auto& damage = scalefs::testing::repair_damages()[GetParam()];
  SCOPED_TRACE(damage.name);
  damage.make(sample);
  diskfs::MemoryDevice copy(sample.device.block_count());
  std::string why;
  const auto copied = copy_metadata(sample.device, copy, kKey, &why);
  if (!copied.ok()) {
    EXPECT_TRUE(damage.refused) << why;
    EXPECT_NE(why, "");
    return;
  }
  EXPECT_EQ(codes_of(copy), codes_of(sample.device));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ImageOfDamage,
                         ::testing::Range<size_t>(0, scalefs::testing::repair_damages().size()));

}  // namespace
}  // namespace scalefs::tools
