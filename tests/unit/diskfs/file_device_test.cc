#include "diskfs/file_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace scalefs::diskfs {
namespace {

class FileDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/scalefs_file_XXXXXX";
    int fd = mkstemp(name);
    ASSERT_GE(fd, 0);
    close(fd);
    path_ = name;
    resize(64 * kBlockBytes);
  }
  void TearDown() override { unlink(path_.c_str()); }
  void resize(off_t bytes) { ASSERT_EQ(truncate(path_.c_str(), bytes), 0); }
  Result<std::unique_ptr<FileDevice>> open(FileDeviceOptions options = {}) {
    return FileDevice::open(path_, options, &why_);
  }

  std::string path_;
  std::string why_;
};

FileDeviceOptions no_wait() {
  FileDeviceOptions options;
  options.lock_wait.wait_ms = 0;
  return options;
}

TEST_F(FileDeviceTest, PartialLastBlockIsNotPartOfTheDevice) {
  resize(10 * kBlockBytes + 1000);
  auto device = open();
  ASSERT_TRUE(device.ok()) << why_;
  EXPECT_EQ((*device)->block_count(), 10u);
}

TEST_F(FileDeviceTest, RefusesWhatCannotBeAnImage) {
  EXPECT_EQ(FileDevice::open(path_ + "_none", {}, &why_).code(), ENOENT);
  EXPECT_NE(why_.find("_none"), std::string::npos);
  EXPECT_EQ(FileDevice::open("/tmp", {}, &why_).code(), EISDIR);
  EXPECT_EQ(FileDevice::open("/dev/null", {}, &why_).code(), EINVAL);
  resize(100);
  EXPECT_EQ(open().code(), EINVAL);
  EXPECT_NE(why_.find("too small"), std::string::npos) << why_;
}

TEST_F(FileDeviceTest, TruncatedWhileOpenAnswersEio) {
  auto device = open();
  ASSERT_TRUE(device.ok()) << why_;
  resize(8 * kBlockBytes);
  std::vector<std::byte> buffer(4 * kBlockBytes);
  EXPECT_TRUE((*device)->read(BlockNo(4), buffer).ok());
  EXPECT_EQ((*device)->read(BlockNo(6), buffer).code(), EIO);
  EXPECT_EQ((*device)->read(BlockNo(20), buffer).code(), EIO);
}

TEST_F(FileDeviceTest, ReadOnlyOptionRefusesWrites) {
  FileDeviceOptions options;
  options.read_only = true;
  auto device = open(options);
  ASSERT_TRUE(device.ok()) << why_;
  EXPECT_TRUE((*device)->read_only());
  std::vector<std::byte> buffer(kBlockBytes);
  EXPECT_EQ((*device)->write(BlockNo(1), buffer).code(), EROFS);
  EXPECT_EQ((*device)->discard(BlockNo(1), 1).code(), EROFS);
  EXPECT_EQ((*device)->write_zeroes(BlockNo(1), 1).code(), EROFS);
  EXPECT_TRUE((*device)->flush().ok());
  EXPECT_TRUE((*device)->read(BlockNo(1), buffer).ok());
}

// As an ordinary user, in a child: root may write to files of any mode.
TEST_F(FileDeviceTest, FileWithoutWritePermissionOpensReadOnly) {
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
    auto device = open();
    _exit(device.ok() && (*device)->read_only() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(FileDeviceTest, ContentSurvivesReopening) {
  std::vector<std::byte> content(3 * kBlockBytes, std::byte{42});
  {
    auto device = open();
    ASSERT_TRUE(device.ok()) << why_;
    ASSERT_TRUE((*device)->write(BlockNo(61), content).ok());
    ASSERT_TRUE((*device)->flush().ok());
  }
  auto device = open();
  ASSERT_TRUE(device.ok()) << why_;
  std::vector<std::byte> got(3 * kBlockBytes);
  ASSERT_TRUE((*device)->read(BlockNo(61), got).ok());
  EXPECT_EQ(got, content);
}

TEST_F(FileDeviceTest, WriteZeroesAllocatesAndDiscardFrees) {
  auto device = open();
  ASSERT_TRUE(device.ok()) << why_;
  struct stat st = {};
  ASSERT_TRUE((*device)->write_zeroes(BlockNo(8), 16).ok());
  ASSERT_TRUE((*device)->flush().ok());
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_GE(st.st_blocks * 512, off_t{16 * kBlockBytes});
  ASSERT_TRUE((*device)->discard(BlockNo(8), 16).ok());
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_size, off_t{64 * kBlockBytes});
}

TEST_F(FileDeviceTest, BuiltInMemoryFileSystemWorksToo) {
  std::string path = "/dev/shm/scalefs_file_test_" + std::to_string(getpid());
  int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ftruncate(fd, 16 * kBlockBytes), 0);
  close(fd);
  auto device = FileDevice::open(path, {}, &why_);
  unlink(path.c_str());
  ASSERT_TRUE(device.ok()) << why_;
  std::vector<std::byte> content(kBlockBytes, std::byte{1}), got(kBlockBytes);
  ASSERT_TRUE((*device)->write(BlockNo(3), content).ok());
  ASSERT_TRUE((*device)->read(BlockNo(3), got).ok());
  EXPECT_EQ(got, content);
}

TEST_F(FileDeviceTest, SecondOpenOfALockedImageIsRefusedAndNamesTheHolder) {
  auto first = open();
  ASSERT_TRUE(first.ok()) << why_;
  EXPECT_EQ(open(no_wait()).code(), EBUSY);
  EXPECT_NE(why_.find("in use by process " + std::to_string(getpid())), std::string::npos) << why_;
  FileDeviceOptions reader = no_wait();
  reader.read_only = true;
  EXPECT_EQ(open(reader).code(), EBUSY);
  FileDeviceOptions unlocked = no_wait();
  unlocked.lock = false;
  EXPECT_TRUE(open(unlocked).ok()) << why_;
}

TEST_F(FileDeviceTest, ReadersShareTheImage) {
  FileDeviceOptions reader = no_wait();
  reader.read_only = true;
  auto first = open(reader);
  auto second = open(reader);
  EXPECT_TRUE(first.ok() && second.ok()) << why_;
  EXPECT_EQ(open(no_wait()).code(), EBUSY);
}

// A child holds the image until the parent closes a pipe, which it does when it is told that there
// is someone to wait for.
TEST_F(FileDeviceTest, WaitsForAChildThatHoldsTheImageAndSaysSo) {
  int ready[2], leave[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(leave), 0);
  pid_t child = fork();
  if (child == 0) {
    close(leave[1]);
    auto device = open();
    char byte = device.ok() ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(2);
    _exit(read(leave[0], &byte, 1) == 0 ? 0 : 3);
  }
  close(leave[0]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_EQ(open(no_wait()).code(), EBUSY);
  EXPECT_NE(why_.find("in use by process " + std::to_string(child)), std::string::npos) << why_;
  pid_t told = 0;
  int calls = 0;
  FileDeviceOptions patient;
  patient.lock_wait.wait_ms = 60'000;
  patient.lock_wait.waiting = [&](pid_t holder) {
    told = holder;
    ++calls;
    close(leave[1]);
  };
  auto device = open(patient);
  EXPECT_TRUE(device.ok()) << why_;
  EXPECT_EQ(told, child);
  EXPECT_EQ(calls, 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace scalefs::diskfs
