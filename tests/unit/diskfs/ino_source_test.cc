// Numbers for new inodes beside a checkpointer that lets new pins read a newer tree.
#include "diskfs/ino_source.h"

#include <future>

#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {
namespace {

// Commits a batch and returns what a pin shows once a checkpoint has it.
CheckpointPin checkpoint_of(DiskFs& fs, const Batch& batch) {
  EXPECT_EQ(fs.commit(batch).code(), 0);
  EXPECT_EQ(fs.checkpoint().code(), 0);
  return fs.pin();
}

// Inode 5 is created and deleted by the batches of one checkpoint: its tree shows the number as free,
// and the checkpoint gave it attributes. Who takes it as soon as pins read that tree owns it alone.
TEST(InoSource, NumberTakenWhileItsTreeIsPublishedIsNotGivenTwice) {
  MemoryDevice device(3072);
  format_tiny(device, 64);
  auto fs = mount_or_fail(device);
  ASSERT_TRUE(fs);
  InoSource inos;
  inos.begin(100);
  const Ino five(5);
  InodeItem item;
  item.mode = 0100644;
  item.nlink = 1;
  item.mnode = MnodeNo(7);
  Batch create;
  create.put_inode(five, item);
  ASSERT_EQ(fs->commit(create).code(), 0);
  Batch remove;
  remove.delete_inode(five);
  CheckpointPin freed = checkpoint_of(*fs, remove);
  const uint64_t covered = freed.covered_seq();
  ASSERT_EQ(freed.reader().free_inos(Ino(), 10)->size(), 1u);
  Batch other;
  other.set_mnode_mark(0, 1000);
  ASSERT_GT(checkpoint_of(*fs, other).covered_seq(), covered);

  std::future<Ino> first;
  inos.settle(covered, {five}, [&] {
    first = std::async(std::launch::async,
                       [&] { return *inos.allocate([&] { return std::move(freed); }); });
    // It must wait for the end of settle; were it not to wait, it would be done by then.
    EXPECT_EQ(first.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  });
  EXPECT_EQ(first.get(), five);
  EXPECT_EQ(*inos.allocate([&] { return fs->pin(); }), Ino(100));
}

}  // namespace
}  // namespace scalefs::diskfs
