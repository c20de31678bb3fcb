// Costs that are counted, not timed, on a volume of 200,000 files in one directory.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "diskfs/diskfs.h"
#include "diskfs/fault_device.h"
#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

// What is counted means nothing to a sanitizer.
constexpr uint64_t kFiles = testing::kSanitized ? 20'000 : 200'000;

InodeItem file_item(uint64_t number) {
  InodeItem item;
  item.mnode = MnodeNo(number + 1);
  item.mode = 0100644;
  item.nlink = 1;
  item.uid = item.gid = 1000;
  item.btime_ns = item.mtime_ns = item.ctime_ns = item.atime_ns =
      1'760'000'000'000'000'000 + static_cast<int64_t>(number) * 1000;
  return item;
}

TEST(DiskFsCounted, TwoHundredThousandFiles) {
  MemoryDevice memory(65536);
  std::string why;
  ASSERT_TRUE(format(memory, {}, &why).ok()) << why;
  FaultDevice device(memory);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  uint64_t record_bytes = 0;
  Batch batch;
  for (uint64_t i = 0; i < kFiles; ++i) {
    const auto ino = fs->allocate_ino();
    ASSERT_EQ(ino.code(), 0);
    const InodeItem item = file_item(i);
    const std::string name = fmt::format("file{:06}", i);
    batch.put_inode(*ino, item);
    batch.put_dirent(kRootIno, siphash24(fs->info().hash_key, name), name, {*ino, item.mnode, 8});
    if (batch.size_bytes() + 200 < fs->batch_bytes_max()) continue;
    record_bytes += batch.size_bytes();
    ASSERT_EQ(fs->commit(batch).code(), 0);
    batch.clear();
  }
  record_bytes += batch.size_bytes();
  ASSERT_EQ(fs->commit(batch).code(), 0);
  EXPECT_LT(record_bytes / kFiles, 120u);
  ASSERT_EQ(fs->unmount().code(), 0);
  fs.reset();

  // Mount and one lookup.
  const uint64_t read_before = device.blocks(FaultDevice::Call::read);
  fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  constexpr uint64_t kLookedUp = kFiles / 2 + 3456;
  const std::string name = fmt::format("file{:06}", kLookedUp);
  const auto found =
      fs->pin().reader().dirents(kRootIno, siphash24(fs->info().hash_key, name));
  ASSERT_TRUE(found.ok() && found->size() == 1);
  const Ino ino = (*found)[0].target.ino;
  const auto item = fs->pin().reader().inode(ino);
  ASSERT_TRUE(item.ok());
  EXPECT_EQ(item->mnode, file_item(kLookedUp).mnode);
  const uint64_t read = device.blocks(FaultDevice::Call::read) - read_before;
  EXPECT_LT(read, (2u << 20) / kBlockBytes);

  // One inode changes.
  InodeItem changed = *item;
  changed.size = 12345;
  batch.clear();
  batch.put_inode(ino, changed);
  ASSERT_EQ(fs->commit(batch).code(), 0);
  const uint64_t written_before = device.blocks(FaultDevice::Call::write);
  const uint64_t counted_before = fs->statistics().checkpoint_blocks;
  const uint64_t bound = fs->checkpoint_blocks_bound();
  ASSERT_EQ(fs->checkpoint().code(), 0);
  const uint64_t written = device.blocks(FaultDevice::Call::write) - written_before;
  EXPECT_LT(written, 64u);
  EXPECT_GE(bound, 3u) << "a node of each level";
  EXPECT_LE(bound, 64u);
  EXPECT_EQ(fs->statistics().checkpoint_blocks - counted_before, written);
}

}  // namespace
}  // namespace scalefs::diskfs
