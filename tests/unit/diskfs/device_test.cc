// The contract of BlockDevice, checked on every implementation that stores, and what is particular
// to memory and overlay.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "diskfs/fault_device.h"
#include "diskfs/file_device.h"
#include "diskfs/memory_device.h"
#include "diskfs/overlay_device.h"
#include "diskfs/recording_device.h"

namespace scalefs::diskfs {
namespace {

std::vector<std::byte> pattern(uint64_t seed, size_t blocks) {
  std::vector<std::byte> bytes(blocks * kBlockBytes);
  Random random(seed);
  for (size_t i = 0; i < bytes.size(); i += 8) store_le<uint64_t>(bytes.data() + i, random.next());
  return bytes;
}

constexpr uint64_t kBlocks = 256;

// Every kind of device, over whatever it needs below it.
struct Stack {
  std::vector<std::unique_ptr<BlockDevice>> below;
  std::unique_ptr<BlockDevice> top;
};

Stack make_stack(const std::string& kind) {
  Stack stack;
  stack.below.push_back(std::make_unique<MemoryDevice>(kBlocks));
  BlockDevice& base = *stack.below[0];
  if (kind == "memory") stack.top = std::make_unique<MemoryDevice>(kBlocks);
  if (kind == "overlay") stack.top = std::make_unique<OverlayDevice>(base);
  if (kind == "fault") stack.top = std::make_unique<FaultDevice>(base);
  if (kind == "recording") stack.top = std::make_unique<RecordingDevice>(base);
  if (kind == "file" || kind == "buffered") {
    char name[] = "/tmp/scalefs_device_XXXXXX";
    int fd = mkstemp(name);
    EXPECT_EQ(ftruncate(fd, kBlocks * kBlockBytes), 0);
    close(fd);
    FileDeviceOptions options;
    options.direct = kind == "file";
    std::string why;
    auto device = FileDevice::open(name, options, &why);
    unlink(name);
    EXPECT_TRUE(device.ok()) << why;
    if (device.ok()) stack.top = std::move(device).value();
  }
  return stack;
}

class DeviceTest : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceTest, NewBlocksReadAsZeros) {
  Stack stack = make_stack(GetParam());
  auto got = pattern(1, 3);
  ASSERT_TRUE(stack.top->read(BlockNo(kBlocks - 3), got).ok());
  EXPECT_EQ(got, std::vector<std::byte>(3 * kBlockBytes));
}

TEST_P(DeviceTest, ReadsWhatWasWrittenAlsoUnaligned) {
  Stack stack = make_stack(GetParam());
  uint64_t seed = 7;
  Random random(seed);
  std::vector<std::vector<std::byte>> model(kBlocks, std::vector<std::byte>(kBlockBytes));
  AlignedBuffer buffer(40 * kBlockBytes);
  for (int round = 0; round < 200; ++round) {
    uint64_t first = random.below(kBlocks);
    uint64_t count = random.between(1, std::min<uint64_t>(kBlocks - first, 33));
    size_t shift = random.percent(50) ? 0 : random.below(kBlockBytes);
    Bytes span = buffer.span().subspan(shift, count * kBlockBytes);
    if (random.percent(50)) {
      auto content = pattern(random.next(), count);
      std::memcpy(span.data(), content.data(), span.size());
      ASSERT_TRUE(stack.top->write(BlockNo(first), span).ok());
      for (uint64_t i = 0; i < count; ++i) {
        std::memcpy(model[first + i].data(), content.data() + i * kBlockBytes, kBlockBytes);
      }
    } else if (random.percent(10)) {
      ASSERT_TRUE(stack.top->write_zeroes(BlockNo(first), count).ok());
      for (uint64_t i = 0; i < count; ++i) model[first + i].assign(kBlockBytes, std::byte{0});
    } else {
      ASSERT_TRUE(stack.top->read(BlockNo(first), span).ok());
      for (uint64_t i = 0; i < count; ++i) {
        ASSERT_EQ(std::memcmp(model[first + i].data(), span.data() + i * kBlockBytes, kBlockBytes),
                  0)
            << "block " << first + i << " in round " << round << ", seed " << seed;
      }
    }
  }
  EXPECT_TRUE(stack.top->flush().ok());
}

TEST_P(DeviceTest, RefusesWhatIsOutsideOrNotWholeBlocks) {
  Stack stack = make_stack(GetParam());
  auto two = pattern(1, 2);
  Bytes span(two);
  EXPECT_EQ(stack.top->read(BlockNo(kBlocks - 1), span).code(), EINVAL);
  EXPECT_EQ(stack.top->write(BlockNo(kBlocks - 1), span).code(), EINVAL);
  EXPECT_EQ(stack.top->read(BlockNo(~uint64_t{0}), span).code(), EINVAL);
  EXPECT_EQ(stack.top->read(BlockNo(0), span.first(0)).code(), EINVAL);
  EXPECT_EQ(stack.top->read(BlockNo(0), span.first(100)).code(), EINVAL);
  EXPECT_EQ(stack.top->write(BlockNo(0), span.first(kBlockBytes + 1)).code(), EINVAL);
  EXPECT_EQ(stack.top->discard(BlockNo(kBlocks), 1).code(), EINVAL);
  EXPECT_EQ(stack.top->write_zeroes(BlockNo(1), kBlocks).code(), EINVAL);
  EXPECT_EQ(stack.top->write_zeroes(BlockNo(1), ~uint64_t{0}).code(), EINVAL);
}

TEST_P(DeviceTest, DiscardLeavesTheNeighboursAlone) {
  Stack stack = make_stack(GetParam());
  auto content = pattern(3, 64);
  ASSERT_TRUE(stack.top->write(BlockNo(10), content).ok());
  ASSERT_TRUE(stack.top->discard(BlockNo(20), 30).ok());
  std::vector<std::byte> got(10 * kBlockBytes);
  ASSERT_TRUE(stack.top->read(BlockNo(10), got).ok());
  EXPECT_EQ(std::memcmp(got.data(), content.data(), got.size()), 0);
  ASSERT_TRUE(stack.top->read(BlockNo(50), got).ok());
  EXPECT_EQ(std::memcmp(got.data(), content.data() + 40 * kBlockBytes, got.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceTest,
                         ::testing::Values("memory", "overlay", "fault", "recording", "file",
                                           "buffered"),
                         [](const auto& param) { return std::string(param.param); });

TEST(MemoryDevice, IsSparseAndClones) {
  MemoryDevice device(uint64_t{1} << 34);  // 64 TiB
  auto content = pattern(5, 2);
  ASSERT_TRUE(device.write(BlockNo((uint64_t{1} << 34) - 2), content).ok());
  EXPECT_EQ(device.blocks_stored(), 2u);
  auto copy = device.clone();
  ASSERT_TRUE(device.write_zeroes(BlockNo(0), uint64_t{1} << 34).ok());
  EXPECT_EQ(device.blocks_stored(), 0u);
  std::vector<std::byte> got(2 * kBlockBytes);
  ASSERT_TRUE(copy->read(BlockNo((uint64_t{1} << 34) - 2), got).ok());
  EXPECT_EQ(got, content);
}

TEST(MemoryDevice, ReadOnlyRefusesEveryChange) {
  MemoryDevice device(16);
  device.set_read_only(true);
  auto content = pattern(5, 1);
  EXPECT_EQ(device.write(BlockNo(1), content).code(), EROFS);
  EXPECT_EQ(device.discard(BlockNo(1), 1).code(), EROFS);
  EXPECT_EQ(device.write_zeroes(BlockNo(1), 1).code(), EROFS);
  EXPECT_TRUE(device.read(BlockNo(1), content).ok());
}

TEST(OverlayDevice, LeavesTheBaseAsItWas) {
  MemoryDevice base(64);
  auto below = pattern(1, 64);
  ASSERT_TRUE(base.write(BlockNo(0), below).ok());
  base.set_read_only(true);
  OverlayDevice overlay(base);
  EXPECT_FALSE(overlay.read_only());
  auto above = pattern(2, 3);
  ASSERT_TRUE(overlay.write(BlockNo(15), above).ok());
  ASSERT_TRUE(overlay.write_zeroes(BlockNo(40), 20).ok());
  std::vector<std::byte> expected = below;
  std::memcpy(expected.data() + 15 * kBlockBytes, above.data(), above.size());
  std::memset(expected.data() + 40 * kBlockBytes, 0, 20 * kBlockBytes);
  std::vector<std::byte> got(64 * kBlockBytes);
  ASSERT_TRUE(overlay.read(BlockNo(0), got).ok());
  EXPECT_EQ(got, expected);
  ASSERT_TRUE(base.read(BlockNo(0), got).ok());
  EXPECT_EQ(got, below);
  EXPECT_EQ(overlay.blocks_stored(), 23u);
}

TEST(OverlayDevice, HandsOnReadErrorsOfTheBase) {
  MemoryDevice base(64);
  FaultDevice fault(base);
  OverlayDevice overlay(fault);
  auto content = pattern(1, 1);
  fault.fail_block(BlockNo(7), EIO);
  EXPECT_EQ(overlay.read(BlockNo(7), content).code(), EIO);
  ASSERT_TRUE(overlay.write(BlockNo(7), content).ok());
  EXPECT_TRUE(overlay.read(BlockNo(7), content).ok());
}

}  // namespace
}  // namespace scalefs::diskfs
