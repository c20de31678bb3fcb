// The independent reader against volumes made through DiskFs, in each state that an image can be
// in.
#include <gtest/gtest.h>

#include <optional>

#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "tests/support/image_programs.h"
#include "tests/support/sample_volume.h"
#include "tests/support/sha256.h"

namespace scalefs::testing {
namespace {

constexpr uint64_t kBlocks = kVolumeBytesMin / kBlockBytes;

class Reader : public ::testing::Test {
 protected:
  void SetUp() override {
    diskfs::FormatOptions options;
    options.uuid = diskfs::Uuid{1, 2, 3};
    options.hash_key = HashKey{4, 5};
    options.time_ns = 6;
    std::string why;
    ASSERT_TRUE(diskfs::format(device_, options, &why).ok()) << why;
    mount();
    sample_.emplace(*fs_);
  }
  void mount() {
    std::string why;
    auto mounted = diskfs::DiskFs::mount(device_, {}, &why);
    ASSERT_TRUE(mounted.ok()) << why;
    fs_ = std::move(*mounted);
  }
  void expect_sample() {
    const ImageFile image(device_);
    const ProgramResult result = run_reader(SCALEFS_SOURCE_DIR, image);
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(difference(result.lines, to_lines(sample_->listing())), "");
  }

  diskfs::MemoryDevice device_{kBlocks};
  std::unique_ptr<diskfs::DiskFs> fs_;
  std::optional<SampleVolume> sample_;
};

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(Reader, EmptyVolume) { expect_sample(); }

TEST_F(Reader, AllInTheJournal) {
  sample_->fill();
  expect_sample();
}

TEST_F(Reader, AllInTheTree) {
  sample_->fill();
  ASSERT_TRUE(fs_->unmount().ok());
  expect_sample();
}

TEST_F(Reader, ChangesInTheJournal) {
  sample_->fill();
  ASSERT_TRUE(fs_->checkpoint().ok());
  expect_sample();
  ASSERT_TRUE(fs_->checkpoint().ok());
  sample_->change();
  expect_sample();
}

TEST_F(Reader, ChangesInTheTree) {
  sample_->fill();
  sample_->change();
  ASSERT_TRUE(fs_->checkpoint().ok());
  expect_sample();
  ASSERT_TRUE(fs_->checkpoint().ok());
  expect_sample();
}

}  // namespace
}  // namespace scalefs::testing
