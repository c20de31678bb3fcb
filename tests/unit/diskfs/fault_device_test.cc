#include "diskfs/fault_device.h"

#include <gtest/gtest.h>

#include <vector>

#include "diskfs/memory_device.h"

namespace scalefs::diskfs {
namespace {

std::vector<std::byte> filled(int byte, size_t blocks = 1) {
  return std::vector<std::byte>(blocks * kBlockBytes, static_cast<std::byte>(byte));
}

class FaultDeviceTest : public ::testing::Test {
 protected:
  std::vector<std::byte> at(uint64_t block, size_t blocks = 1) {
    std::vector<std::byte> got(blocks * kBlockBytes);
    EXPECT_TRUE(memory_.read(BlockNo(block), got).ok());
    return got;
  }
  MemoryDevice memory_{64};
  FaultDevice device_{memory_};
};

TEST_F(FaultDeviceTest, FailsOnlyTheNamedCall) {
  auto one = filled(1);
  device_.fail(FaultDevice::Call::write, 2, EIO);
  EXPECT_TRUE(device_.write(BlockNo(1), one).ok());
  EXPECT_EQ(device_.write(BlockNo(2), one).code(), EIO);
  EXPECT_TRUE(device_.write(BlockNo(3), one).ok());
  EXPECT_EQ(at(1), one);
  EXPECT_EQ(at(2), filled(0));
  EXPECT_EQ(at(3), one);
}

TEST_F(FaultDeviceTest, CountsFromNowAndEachKindApart) {
  auto one = filled(1);
  ASSERT_TRUE(device_.write(BlockNo(1), one).ok());
  ASSERT_TRUE(device_.flush().ok());
  device_.fail(FaultDevice::Call::flush, 1, ENOSPC, /*later_too=*/true);
  EXPECT_TRUE(device_.write(BlockNo(1), one).ok());
  EXPECT_EQ(device_.flush().code(), ENOSPC);
  EXPECT_EQ(device_.flush().code(), ENOSPC);
  device_.clear();
  EXPECT_TRUE(device_.flush().ok());
  EXPECT_EQ(device_.calls(FaultDevice::Call::flush), 4u);
  EXPECT_EQ(device_.calls(FaultDevice::Call::write), 2u);
  EXPECT_EQ(device_.blocks(FaultDevice::Call::write), 2u);
}

TEST_F(FaultDeviceTest, FailedWriteMayTear) {
  device_.set_tear_failed_writes(true);
  device_.fail(FaultDevice::Call::write, 1, EIO);
  EXPECT_EQ(device_.write(BlockNo(4), filled(7, 4)).code(), EIO);
  EXPECT_EQ(at(4, 2), filled(7, 2));
  EXPECT_EQ(at(6, 2), filled(0, 2));
}

TEST_F(FaultDeviceTest, LosesMisdirectsAndCorruptsSilently) {
  auto one = filled(1);
  device_.lose_write(1);
  device_.misdirect_write(2, BlockNo(9));
  device_.corrupt_write(3, 100, std::byte{0x80});
  EXPECT_TRUE(device_.write(BlockNo(1), one).ok());
  EXPECT_TRUE(device_.write(BlockNo(2), one).ok());
  EXPECT_TRUE(device_.write(BlockNo(3), one).ok());
  EXPECT_EQ(at(1), filled(0));
  EXPECT_EQ(at(2), filled(0));
  EXPECT_EQ(at(9), one);
  auto bad = one;
  bad[100] ^= std::byte{0x80};
  EXPECT_EQ(at(3), bad);
}

TEST_F(FaultDeviceTest, FailedReadAndBadBlock) {
  auto buffer = filled(1, 4);
  device_.fail(FaultDevice::Call::read, 1, EIO);
  EXPECT_EQ(device_.read(BlockNo(0), buffer).code(), EIO);
  device_.fail_block(BlockNo(3), EIO);
  EXPECT_EQ(device_.read(BlockNo(0), buffer).code(), EIO);
  EXPECT_TRUE(device_.read(BlockNo(4), buffer).ok());
}

TEST_F(FaultDeviceTest, FlushHookRunsBeforeTheFlush) {
  int seen = 0;
  device_.set_flush_hook([&] { ++seen; });
  device_.fail(FaultDevice::Call::flush, 2, EIO);
  EXPECT_TRUE(device_.flush().ok());
  EXPECT_EQ(device_.flush().code(), EIO);
  EXPECT_EQ(seen, 2);
}

TEST_F(FaultDeviceTest, DiscardAndZeroesFailToo) {
  device_.fail(FaultDevice::Call::discard, 1, EIO);
  device_.fail(FaultDevice::Call::zeroes, 1, ENOSPC);
  EXPECT_EQ(device_.discard(BlockNo(1), 1).code(), EIO);
  EXPECT_EQ(device_.write_zeroes(BlockNo(1), 1).code(), ENOSPC);
}

TEST_F(FaultDeviceTest, LosesFlushesAndEndsEarly) {
  int flushed = 0;
  FaultDevice inner(memory_);
  inner.set_flush_hook([&] { ++flushed; });
  FaultDevice outer(static_cast<BlockDevice&>(inner));
  outer.lose_flushes(true);
  EXPECT_TRUE(outer.flush().ok());
  EXPECT_EQ(flushed, 0);
  outer.shrink(10);
  EXPECT_TRUE(outer.write(BlockNo(8), filled(3, 2)).ok());
  EXPECT_EQ(outer.write(BlockNo(9), filled(4, 2)).code(), EIO);
  EXPECT_EQ(at(9), filled(3));
  std::vector<std::byte> got(kBlockBytes);
  EXPECT_EQ(outer.read(BlockNo(10), got).code(), EIO);
  EXPECT_EQ(outer.write_zeroes(BlockNo(20), 1).code(), EIO);
  EXPECT_EQ(outer.discard(BlockNo(10), 1).code(), EIO);
  EXPECT_EQ(outer.block_count(), 64u);
  outer.clear();
  EXPECT_TRUE(outer.flush().ok());
  EXPECT_EQ(flushed, 1);
  EXPECT_TRUE(outer.read(BlockNo(10), got).ok());
}

}  // namespace
}  // namespace scalefs::diskfs
