#include "tools/mkfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/captured.h"
#include "tests/support/image_file.h"
#include "tools/foreign_signature.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class MkfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.path = image_.path();
    options_.lock_wait_ms = 0;
  }

  int run() {
    return captured([&](FILE* out, FILE* err) { return run_mkfs(options_, out, err); }, &out_, &err_);
  }
  // A swap area as mkswap makes it.
  void make_swap() {
    image_.make(16 * kMiB);
    std::vector<char> page(4096);
    uint32_t head[3] = {1, 4095, 0};
    std::memcpy(page.data() + 1024, head, sizeof head);
    std::memset(page.data() + 1036, 0x5a, 16);
    std::memcpy(page.data() + 1052, "oldswap", 7);
    std::memcpy(page.data() + 4086, "SWAPSPACE2", 10);
    int fd = open(options_.path.c_str(), O_RDWR);
    ASSERT_EQ(pwrite(fd, page.data(), page.size(), 0), 4096);
    close(fd);
  }
  std::string content() {
    std::string bytes;
    FILE* file = fopen(options_.path.c_str(), "r");
    if (file == nullptr) return bytes;
    char buffer[65536];
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) bytes.append(buffer, got);
    fclose(file);
    return bytes;
  }
  Result<diskfs::Superblock> superblock() {
    std::string why;
    auto device = diskfs::FileDevice::open(options_.path, {}, &why);
    if (!device.ok()) return device.error();
    return diskfs::read_newest_superblock(**device, &why);
  }
  bool exists() const { return std::filesystem::exists(options_.path); }
  uint64_t allocated() {
    struct stat st = {};
    EXPECT_EQ(stat(options_.path.c_str(), &st), 0);
    return static_cast<uint64_t>(st.st_blocks) * 512;
  }

  const scalefs::testing::ImageFile image_;
  std::string out_, err_;
  MkfsOptions options_;
};

TEST_F(MkfsTest, MakesAnImageSparseButForTheJournal) {
  options_.size_bytes = 1024 * kMiB;
  options_.label = "Ünï";
  options_.uuid = parse_uuid("01234567-89ab-cdef-0123-456789abcdef");
  ASSERT_TRUE(options_.uuid);
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_EQ(err_, "");
  EXPECT_NE(out_.find("1 GiB"), std::string::npos) << out_;
  EXPECT_NE(out_.find("01234567-89ab-cdef-0123-456789abcdef"), std::string::npos) << out_;
  auto sb = superblock();
  ASSERT_TRUE(sb.ok());
  EXPECT_EQ(sb->label, "Ünï");
  EXPECT_EQ(sb->uuid, *options_.uuid);
  EXPECT_GE(allocated(), 64 * kMiB);
  EXPECT_LT(allocated(), 66 * kMiB);
}

TEST_F(MkfsTest, UsesAnExistingFileWhole) {
  image_.make(20 * kMiB + 100);
  options_.quiet = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_EQ(out_ + err_, "");
  EXPECT_EQ(superblock()->geometry.block_count, 20 * 256u);
}

TEST_F(MkfsTest, PreallocateLeavesNoHole) {
  options_.size_bytes = 32 * kMiB;
  options_.preallocate = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_GE(allocated(), 31 * kMiB);
}

TEST_F(MkfsTest, NodiscardKeepsTheBlocksOfAnImage) {
  image_.make(32 * kMiB);
  const std::string old(32 * kMiB, 'x');
  const int fd = open(options_.path.c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(fd, old.data(), old.size(), 0), static_cast<ssize_t>(old.size()));
  ASSERT_EQ(fsync(fd), 0);
  close(fd);
  options_.force = true;
  options_.discard = false;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_GE(allocated(), 32 * kMiB);
  ASSERT_TRUE(superblock().ok());
  options_.discard = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_LT(allocated(), 4 * kMiB);
}

TEST_F(MkfsTest, MissingFileWithoutSize) {
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("give a SIZE"), std::string::npos) << err_;
  EXPECT_FALSE(exists());
}

TEST_F(MkfsTest, SizesOutOfBounds) {
  options_.size_bytes = 16 * kMiB - 1;
  EXPECT_EQ(run(), kMkfsRefused);
  options_.size_bytes = (uint64_t{64} << 40) + 1;
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_FALSE(exists());
  options_.size_bytes.reset();
  image_.make(kMiB);
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("16 MiB"), std::string::npos) << err_;
}

TEST_F(MkfsTest, ExistingFileWithSizeNeedsForce) {
  image_.make(20 * kMiB);
  options_.size_bytes = 32 * kMiB;
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_EQ(std::filesystem::file_size(options_.path), 20 * kMiB);
  options_.force = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_EQ(superblock()->geometry.block_count, 32 * 256u);
}

TEST_F(MkfsTest, RefusesAForeignFileSystemAndWipesItWithForce) {
  make_swap();
  std::string before = content();
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("swap"), std::string::npos) << err_;
  EXPECT_NE(err_.find("oldswap"), std::string::npos) << err_;
  EXPECT_NE(err_.find("5a5a5a5a-5a5a"), std::string::npos) << err_;
  EXPECT_NE(err_.find("-f"), std::string::npos) << err_;
  EXPECT_EQ(content(), before);
  options_.force = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  int fd = open(options_.path.c_str(), O_RDONLY);
  auto found = find_signature(fd);
  close(fd);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
}

TEST_F(MkfsTest, RefusesOurOwnVolumeAlsoADamagedOne) {
  options_.size_bytes = 16 * kMiB;
  options_.label = "mine";
  ASSERT_EQ(run(), kMkfsOk) << err_;
  options_.size_bytes.reset();
  std::string before = content();
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("scalefs (label \"mine\", UUID "), std::string::npos) << err_;
  EXPECT_EQ(content(), before);
  ASSERT_EQ(truncate(options_.path.c_str(), 16 * kMiB + 4096), 0);
  int fd = open(options_.path.c_str(), O_RDWR);
  for (int place : {1, 2, 3, 4, 5, 6, 7, 8, 4094, 4095}) {
    ASSERT_EQ(pwrite(fd, "bad", 3, place * 4096 + 1000), 3);
  }
  close(fd);
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("checksum"), std::string::npos) << err_;
  options_.force = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
}

TEST_F(MkfsTest, ALockedImageIsRefusedWithForceToo) {
  image_.make(16 * kMiB);
  std::string why;
  auto holder = diskfs::FileDevice::open(options_.path, {}, &why);
  ASSERT_TRUE(holder.ok()) << why;
  std::string before = content();
  options_.force = true;
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_NE(err_.find("in use by process " + std::to_string(getpid())), std::string::npos) << err_;
  options_.size_bytes = 32 * kMiB;
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_EQ(content(), before);
}

TEST_F(MkfsTest, DryRunChangesNothing) {
  options_.dry_run = true;
  options_.size_bytes = 64 * kMiB;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_NE(out_.find("would make"), std::string::npos) << out_;
  EXPECT_FALSE(exists());
  make_swap();
  std::string before = content();
  options_.size_bytes.reset();
  EXPECT_EQ(run(), kMkfsRefused);
  options_.force = true;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  options_.size_bytes = 64 * kMiB;
  EXPECT_EQ(run(), kMkfsOk) << err_;
  EXPECT_EQ(content(), before);
}

TEST_F(MkfsTest, NeitherFileNorDevice) {
  options_.path = image_.folder();
  EXPECT_EQ(run(), kMkfsRefused);
  options_.path = "/dev/null";
  EXPECT_EQ(run(), kMkfsRefused);
  options_.path = image_.folder() + "/none/image";
  options_.size_bytes = 16 * kMiB;
  EXPECT_EQ(run(), kMkfsRefused);
}

TEST_F(MkfsTest, Labels) {
  options_.size_bytes = 16 * kMiB;
  options_.label.assign(65, 'x');
  EXPECT_EQ(run(), kMkfsRefused);
  options_.label = "two\nlines";
  EXPECT_EQ(run(), kMkfsRefused);
  EXPECT_FALSE(exists());
}

TEST_F(MkfsTest, SourceDateEpochMakesImagesThatRepeat) {
  options_.size_bytes = 16 * kMiB;
  options_.uuid = parse_uuid("01234567-89ab-cdef-0123-456789abcdef");
  options_.source_date_epoch = 1'600'000'000;
  options_.force = true;
  ASSERT_EQ(run(), kMkfsOk) << err_;
  std::string first = content();
  EXPECT_EQ(superblock()->created_ns, 1'600'000'000'000'000'000);
  ASSERT_EQ(run(), kMkfsOk) << err_;
  EXPECT_TRUE(content() == first);
}

TEST(SourceDateEpoch, OfTheEnvironment) {
  std::optional<int64_t> seconds;
  setenv("SOURCE_DATE_EPOCH", "12", 1);
  EXPECT_TRUE(source_date_epoch(&seconds));
  EXPECT_EQ(seconds, 12);
  for (const char* bad : {"x", "12x", "-1", "99999999999999999999", "9999999999999"}) {
    setenv("SOURCE_DATE_EPOCH", bad, 1);
    EXPECT_FALSE(source_date_epoch(&seconds)) << bad;
  }
  unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_TRUE(source_date_epoch(&seconds));
  EXPECT_FALSE(seconds);
}

TEST(UuidText, RoundTrip) {
  auto uuid = parse_uuid("01234567-89AB-cdef-0123-456789abcdef");
  ASSERT_TRUE(uuid);
  EXPECT_EQ((*uuid)[0], 0x01);
  EXPECT_EQ((*uuid)[15], 0xef);
  EXPECT_EQ(format_uuid(*uuid), "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_FALSE(parse_uuid("01234567-89AB-cdef-0123-456789abcde"));
  EXPECT_FALSE(parse_uuid("x1234567-89AB-cdef-0123-456789abcdef"));
}

}  // namespace
}  // namespace scalefs::tools
