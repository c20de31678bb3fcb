// Read-only mounts, read-only devices, and the volume without a device.
#include <gtest/gtest.h>

#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

class ReadOnly : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(m_.mount().ok());
    const MnodeNo file = m_.create(kRootMnode, "file");
    ASSERT_EQ(m_.write(file, 0, "content"), 0);
    ASSERT_TRUE(m_.volume->fsync(file, false).ok());
    // Left as by a crash: the journal has something to replay.
    m_.volume->shutdown();
    m_.volume.reset();
    m_.options.read_only = true;
  }
  Mounted m_;
};

TEST_F(ReadOnly, ServesReadsAndRefusesChanges) {
  using Call = diskfs::FaultDevice::Call;
  const uint64_t writes = m_.faults.calls(Call::write);
  ASSERT_TRUE(m_.mount().ok());
  EXPECT_TRUE(m_.volume->read_only());
  const MnodeNo file = m_.find("file");
  EXPECT_EQ(m_.read(file), "content");
  EXPECT_EQ(m_.write(file, 0, "x"), EROFS);
  EXPECT_EQ(m_.fs().create(kRootMnode, "g", 0100644, true, memfs::Caller{}).code(), EROFS);
  EXPECT_EQ(m_.fs().unlink(kRootMnode, "file").code(), EROFS);
  memfs::SetAttr change;
  change.mode = 0600;
  EXPECT_EQ(m_.fs().setattr(file, change).code(), EROFS);
  change = {};
  change.size = 0;
  EXPECT_EQ(m_.fs().setattr(file, change).code(), EROFS);
  EXPECT_EQ(m_.fs()
                .rename(kRootMnode, "file", kRootMnode, "x", memfs::RenameMode::replace,
                        memfs::Caller{})
                .code(),
            EROFS);
  EXPECT_TRUE(m_.volume->fsync(file, false).ok());
  EXPECT_TRUE(m_.volume->sync().ok());
  EXPECT_FALSE(m_.volume->step_commit());
  EXPECT_FALSE(m_.volume->step_checkpoint());
  EXPECT_FALSE(m_.volume->step_writeback());
  EXPECT_TRUE(m_.volume->unmount().ok());
  EXPECT_EQ(m_.faults.calls(Call::write), writes);
}

TEST_F(ReadOnly, IsWhatAReadWriteMountFindsToo) {
  ASSERT_TRUE(m_.mount().ok());
  const memfs::Attr before = m_.attr(m_.find("file"));
  m_.options.read_only = false;
  ASSERT_TRUE(m_.volume->unmount().ok());
  ASSERT_TRUE(m_.mount().ok());
  EXPECT_EQ(m_.attr(m_.find("file")), before);
}

TEST(MemoryVolume, WorksWithoutADevice) {
  VolumeOptions options;
  options.threads = false;
  const auto volume = Volume::memory(options);
  const auto entry = volume->fs().create(kRootMnode, "f", 0100644, true, memfs::Caller{});
  ASSERT_TRUE(entry.ok());
  const std::string text = "in memory";
  ASSERT_TRUE(
      volume->fs().write(entry->attr.mnode, 0, std::as_bytes(std::span(text))).ok());
  EXPECT_TRUE(volume->fsync(entry->attr.mnode, false).ok());
  int calls = 0;
  volume->fsync_async(entry->attr.mnode, false, [&](Status status) {
    calls += status.ok() ? 1 : 0;
  });
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(volume->sync().ok());
  const uint64_t free = volume->statfs().blocks_free;
  ASSERT_TRUE(volume->fs().unlink(kRootMnode, "f").ok());
  volume->fs().forget(entry->attr.mnode, 1);
  while (volume->step_maintenance()) {
  }
  EXPECT_GT(volume->statfs().blocks_free, free);
  EXPECT_TRUE(volume->unmount().ok());
}

}  // namespace
}  // namespace scalefs::volume
