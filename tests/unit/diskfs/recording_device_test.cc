#include "diskfs/recording_device.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/random.h"
#include "diskfs/crash_image.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"

namespace scalefs::diskfs {
namespace {

std::vector<std::byte> filled(int byte, size_t blocks = 1) {
  return std::vector<std::byte>(blocks * kBlockBytes, static_cast<std::byte>(byte));
}

std::vector<std::byte> content(MemoryDevice& device, uint64_t first, uint64_t count) {
  std::vector<std::byte> got(count * kBlockBytes);
  EXPECT_TRUE(device.read(BlockNo(first), got).ok());
  return got;
}

TEST(RecordingDevice, FailedCallsAreNotRecorded) {
  MemoryDevice memory(16);
  FaultDevice fault(memory);
  RecordingDevice device(fault);
  fault.fail(FaultDevice::Call::write, 1, EIO);
  fault.fail(FaultDevice::Call::flush, 1, EIO);
  EXPECT_EQ(device.write(BlockNo(1), filled(1)).code(), EIO);
  EXPECT_EQ(device.flush().code(), EIO);
  EXPECT_EQ(device.event_count(), 0u);
}

TEST(CrashImages, FlushedWritesAlwaysThereOthersByChoice) {
  MemoryDevice memory(16);
  ASSERT_TRUE(memory.write(BlockNo(1), filled(9)).ok());
  auto start = memory.clone();
  RecordingDevice device(memory);
  ASSERT_TRUE(device.write(BlockNo(1), filled(1)).ok());
  ASSERT_TRUE(device.flush().ok());
  ASSERT_TRUE(device.write(BlockNo(2), filled(2)).ok());
  ASSERT_TRUE(device.write(BlockNo(3), filled(3)).ok());
  CrashImages images(*start, device);
  EXPECT_EQ(content(*images.build(CrashImages::keep_all()), 1, 1), filled(9));
  images.advance(1);
  EXPECT_EQ(content(*images.build(CrashImages::keep_none()), 1, 1), filled(9));
  EXPECT_EQ(content(*images.build(CrashImages::keep_all()), 1, 1), filled(1));
  images.advance(4);
  EXPECT_EQ(images.undecided(), (std::vector<uint64_t>{2, 3}));
  // Reordered: the later write is there, the earlier one is not.
  auto image = images.build([](uint64_t event, uint64_t) { return event == 3; });
  EXPECT_EQ(content(*image, 1, 1), filled(1));
  EXPECT_EQ(content(*image, 2, 1), filled(0));
  EXPECT_EQ(content(*image, 3, 1), filled(3));
}

TEST(CrashImages, TearsAtSectors) {
  MemoryDevice memory(16);
  auto start = memory.clone();
  RecordingDevice device(memory);
  ASSERT_TRUE(device.write(BlockNo(4), filled(5, 2)).ok());
  CrashImages images(*start, device);
  images.advance(1);
  auto image = images.build([](uint64_t, uint64_t sector) { return sector == 1 || sector == 15; });
  auto expected = filled(0, 2);
  std::memset(expected.data() + 512, 5, 512);
  std::memset(expected.data() + 15 * 512, 5, 512);
  EXPECT_EQ(content(*image, 4, 2), expected);
}

TEST(CrashImages, DiscardAndZeroesTakePart) {
  MemoryDevice memory(16);
  ASSERT_TRUE(memory.write(BlockNo(0), filled(7, 16)).ok());
  auto start = memory.clone();
  RecordingDevice device(memory);
  ASSERT_TRUE(device.discard(BlockNo(1), 2).ok());
  ASSERT_TRUE(device.write_zeroes(BlockNo(5), 2).ok());
  CrashImages images(*start, device);
  images.advance(2);
  EXPECT_EQ(content(*images.build(CrashImages::keep_none()), 0, 16), filled(7, 16));
  auto image = images.build(CrashImages::keep_all());
  EXPECT_EQ(content(*image, 1, 2), filled(0xdd, 2));
  EXPECT_EQ(content(*image, 5, 2), filled(0, 2));
}

// A flush covers what had returned before it began, not what completed while it ran.
TEST(CrashImages, FlushCoversOnlyWhatReturnedBeforeIt) {
  MemoryDevice memory(16);
  auto start = memory.clone();
  FaultDevice fault(memory);
  RecordingDevice device(fault);
  ASSERT_TRUE(device.write(BlockNo(1), filled(1)).ok());
  fault.set_flush_hook([&] { ASSERT_TRUE(device.write(BlockNo(2), filled(2)).ok()); });
  ASSERT_TRUE(device.flush().ok());
  CrashImages images(*start, device);
  images.advance(device.event_count());
  EXPECT_EQ(images.undecided(), (std::vector<uint64_t>{1}));
  auto image = images.build(CrashImages::keep_none());
  EXPECT_EQ(content(*image, 1, 1), filled(1));
  EXPECT_EQ(content(*image, 2, 1), filled(0));
}

TEST(CrashImages, RandomChoiceIsAFunctionOfItsSeed) {
  uint64_t seed = 11;
  MemoryDevice memory(64);
  auto start = memory.clone();
  RecordingDevice device(memory);
  Random random(seed);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(device.write(BlockNo(random.below(60)), filled(i + 1, 4)).ok());
    if (i % 20 == 19) {
      ASSERT_TRUE(device.flush().ok());
    }
  }
  CrashImages images(*start, device);
  images.advance(50);
  auto first = images.build(CrashImages::keep_random(3));
  auto again = images.build(CrashImages::keep_random(3));
  auto other = images.build(CrashImages::keep_random(4));
  EXPECT_EQ(content(*first, 0, 64), content(*again, 0, 64));
  EXPECT_NE(content(*first, 0, 64), content(*other, 0, 64));
  images.advance(device.event_count());
  EXPECT_EQ(content(*images.build(CrashImages::keep_none()), 0, 64), content(memory, 0, 64));
}

TEST(CrashImages, NeitherStartNorOtherImagesChange) {
  MemoryDevice memory(16);
  auto start = memory.clone();
  RecordingDevice device(memory);
  ASSERT_TRUE(device.write(BlockNo(1), filled(1)).ok());
  CrashImages images(*start, device);
  images.advance(1);
  auto image = images.build(CrashImages::keep_all());
  ASSERT_TRUE(image->write(BlockNo(1), filled(8)).ok());
  EXPECT_EQ(content(*images.build(CrashImages::keep_all()), 1, 1), filled(1));
  EXPECT_EQ(content(*start, 1, 1), filled(0));
}

}  // namespace
}  // namespace scalefs::diskfs
