// What is counted: flushes of concurrent fsyncs, reads of a mount, blocks of a checkpoint, memory of a
// file larger than the cache.
#include <gtest/gtest.h>

#include <thread>

#include "base/memory.h"
#include "base/mutex.h"
#include "tests/support/seeds.h"
#include "tests/unit/volume/mounted.h"
#include "volume/checkpointer.h"

namespace scalefs::volume {
namespace {

using Call = diskfs::FaultDevice::Call;

TEST(Bounds, ConcurrentFsyncsShareFlushes) {
  constexpr int kThreads = 64;
  constexpr int kRounds = 20;
  Mounted m;
  m.options.threads = true;
  ASSERT_TRUE(m.mount().ok());
  std::vector<MnodeNo> files;
  for (int i = 0; i < kThreads; ++i) files.push_back(m.create(kRootMnode, std::to_string(i)));
  // A device whose flushes are slow: they last until all threads wait for one.
  Atomic<int> working{kThreads};
  m.faults.set_flush_hook([&working] {
    Mutex mutex;
    CondVar never;
    MutexLock lock(mutex);
    for (int ms = 0; ms < 1000 && working.load(relaxed) > 0; ++ms) never.wait_for(mutex, 1);
  });
  const uint64_t before = m.flushes();
  Atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string text = "round " + std::to_string(round);
        if (m.write(files[i], 0, text) != 0) failures.fetch_add(1, relaxed);
        working.fetch_sub(1, relaxed);
        if (!m.volume->fsync(files[i], false).ok()) failures.fetch_add(1, relaxed);
        if (round + 1 < kRounds) working.fetch_add(1, relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(relaxed), 0);
  EXPECT_LE((m.flushes() - before) * 10, static_cast<uint64_t>(kThreads * kRounds));
  EXPECT_GE(m.volume->statistics().fsyncs, static_cast<uint64_t>(kThreads * kRounds));
  m.faults.set_flush_hook(nullptr);
  m.crash_and_mount();
  for (int i = 0; i < kThreads; ++i) EXPECT_EQ(m.read(m.find(std::to_string(i))), "round 19");
}

class ManyFiles : public ::testing::Test {
 protected:
  // What is counted means nothing to a sanitizer.
  static constexpr int kDirs = testing::kSanitized ? 20 : 200;
  static constexpr int kFilesADir = 1000;

  static std::string name_of(int i) { return "some-file-of-usual-name-" + std::to_string(i); }
};

TEST_F(ManyFiles, MountLookupAndOneChangeAreCheapOnALargeImage) {
  Mounted m(uint64_t{512} << 20);
  ASSERT_TRUE(m.mount().ok());
  for (int d = 0; d < kDirs; ++d) {
    const MnodeNo dir = m.mkdir(kRootMnode, "d" + std::to_string(d));
    for (int i = 0; i < kFilesADir; ++i) m.create(dir, name_of(i));
    if (d % 20 == 19) {
      m.volume->step_commit();
      m.volume->step_checkpoint();
    }
  }
  ASSERT_TRUE(m.volume->unmount().ok());
  m.volume.reset();

  const uint64_t reads = m.faults.blocks(Call::read);
  ASSERT_TRUE(m.mount().ok());
  EXPECT_TRUE(m.exists("d7/" + name_of(500)));
  EXPECT_LT((m.faults.blocks(Call::read) - reads) * kBlockBytes, 2u << 20);

  // The first checkpoints after a mount have the mount's own to do.
  while (m.volume->step_checkpoint()) {
  }
  const MnodeNo file = m.find("d13/" + name_of(7));
  ASSERT_EQ(m.write(file, 0, "changed"), 0);
  ASSERT_TRUE(m.volume->fsync(file, false).ok());
  const uint64_t writes = m.faults.blocks(Call::write);
  EXPECT_TRUE(m.volume->step_checkpoint());
  EXPECT_LT(m.faults.blocks(Call::write) - writes, 64u);
}

TEST(Bounds, FileOfFourTimesTheCacheIsWrittenAndReadBack) {
  constexpr uint64_t kCache = uint64_t{8} << 20;
  constexpr uint64_t kFile = 4 * kCache;
  constexpr size_t kChunk = 65536;
  Mounted m(uint64_t{96} << 20);
  m.options.cache_bytes = kCache;
  ASSERT_TRUE(m.mount().ok());
  const MnodeNo file = m.create(kRootMnode, "large");
  const auto chunk_of = [&](uint64_t offset) {
    std::string text(kChunk, static_cast<char>('a' + offset / kChunk % 26));
    text.replace(0, 8, std::to_string(10'000'000 + offset / kChunk));
    return text;
  };
  for (uint64_t offset = 0; offset < kFile; offset += kChunk) {
    ASSERT_EQ(m.write(file, offset, chunk_of(offset)), 0);
    ASSERT_LE(m.volume->statistics().memory.page_bytes, kCache);
  }
  for (uint64_t offset = 0; offset < kFile; offset += kChunk) {
    ASSERT_EQ(m.read(file, offset, kChunk), chunk_of(offset)) << "at " << offset;
    ASSERT_LE(m.volume->statistics().memory.page_bytes, kCache);
  }
  ASSERT_TRUE(m.volume->fsync(file, false).ok());
  m.crash_and_mount();
  const MnodeNo found = m.find("large");
  for (uint64_t offset = 0; offset < kFile; offset += 16 * kChunk) {
    ASSERT_EQ(m.read(found, offset, kChunk), chunk_of(offset)) << "at " << offset;
  }
}

TEST(Bounds, ManySmallFsyncedFilesStayWithinTheCache) {
  Mounted m;
  m.options.cache_bytes = uint64_t{4} << 20;
  ASSERT_TRUE(m.mount().ok());
  for (int i = 0; i < 3000; ++i) {
    const MnodeNo file = m.create(kRootMnode, std::to_string(i));
    ASSERT_EQ(m.write(file, 0, std::string(3000, 'x')), 0);
    ASSERT_TRUE(m.volume->fsync(file, false).ok());
    ASSERT_LE(m.volume->statistics().memory.page_bytes, m.options.cache_bytes);
  }
  EXPECT_EQ(m.read(m.find("0")), std::string(3000, 'x'));
}

TEST(Bounds, ACheckpointWritesTheDataOfSmallFilesTogether) {
  constexpr int kFiles = 1000;
  Mounted m(uint64_t{512} << 20);  // a journal that holds them all
  ASSERT_TRUE(m.mount().ok());
  for (int i = 0; i < kFiles; ++i)
    ASSERT_EQ(m.write(m.create(kRootMnode, std::to_string(i)), 0, std::string(3000, 'x')), 0);
  ASSERT_TRUE(m.volume->sync().ok());
  const uint64_t writes = m.faults.calls(Call::write);
  const uint64_t blocks = m.faults.blocks(Call::write);
  while (m.volume->step_checkpoint()) {
  }
  EXPECT_GT(m.faults.blocks(Call::write) - blocks, static_cast<uint64_t>(kFiles));
  EXPECT_LT(m.faults.calls(Call::write) - writes, 60u);
}

// When a checkpoint is due the journal has room for what comes while it runs, also where the one before has left it what
// it brought in.
TEST(Bounds, ACheckpointIsDueWhileTheJournalHasRoom) {
  diskfs::MemoryDevice device((uint64_t{64} << 20) / kBlockBytes);
  std::string why;
  ASSERT_TRUE(diskfs::format(device, {}, &why).ok()) << why;
  auto mounted = diskfs::DiskFs::mount(device, {}, &why);
  ASSERT_TRUE(mounted.ok()) << why;
  diskfs::DiskFs& fs = **mounted;
  const auto ino = fs.allocate_ino();
  ASSERT_TRUE(ino.ok());
  diskfs::InodeItem item;
  item.mnode = MnodeNo(77);
  item.mode = 0100644;
  item.nlink = 1;
  uint64_t batches = 0;
  const auto commit = [&] {
    diskfs::Batch batch;
    item.size = ++batches;
    batch.put_inode(*ino, item);
    return fs.commit(batch).ok();  // a block
  };
  for (int round = 0; round < 3; ++round) {
    while (fs.journal_fill() <= Checkpointer::kFillDue) ASSERT_TRUE(commit());
    if (round < 2) {
      ASSERT_TRUE(fs.checkpoint().ok());
    }
  }
  const uint64_t checkpoints = fs.statistics().checkpoints;
  const uint64_t before = batches;
  while (fs.statistics().checkpoints == checkpoints) ASSERT_TRUE(commit());
  EXPECT_GT(batches - before, fs.info().journal_blocks / 4);
}

TEST(Bounds, LogStaysWithinItsLimitWithoutAnyFsync) {
  Mounted m;
  m.options.log_bytes_max = 256 << 10;
  ASSERT_TRUE(m.mount().ok());
  for (int i = 0; i < 5000; ++i) {
    m.create(kRootMnode, "file-" + std::to_string(i));
    ASSERT_LE(m.volume->statistics().log_bytes, m.options.log_bytes_max + (128u << 10));
  }
  EXPECT_GT(m.volume->statistics().commits, 0u);
}

TEST(Bounds, WhatACheckpointCoversLeavesTheCommittedView) {
  Mounted m;
  ASSERT_TRUE(m.mount().ok());
  const auto held = [] { return memory_bytes(MemoryClass::committed_view); };
  for (int i = 0; i < 1000; ++i) m.create(kRootMnode, "file-" + std::to_string(i));
  ASSERT_TRUE(m.volume->sync().ok());
  const int64_t before = held();
  EXPECT_GT(before, 0);
  while (m.volume->step_checkpoint()) {
  }
  // Some entries behind each commit.
  for (int i = 0; i < 10; ++i) {
    m.create(kRootMnode, "later-" + std::to_string(i));
    ASSERT_TRUE(m.volume->sync().ok());
  }
  EXPECT_LT(held(), before / 10);
}

TEST(Bounds, CreatedAndRemovedFilesLeaveNothing) {
  Mounted m;
  ASSERT_TRUE(m.mount().ok());
  ASSERT_TRUE(m.volume->sync().ok());
  const uint64_t bytes = m.volume->statistics().disk.batch_bytes;
  for (int i = 0; i < 100; ++i) {
    const MnodeNo file = m.create(kRootMnode, "temporary");
    ASSERT_EQ(m.write(file, 0, "x"), 0);
    ASSERT_TRUE(m.fs().unlink(kRootMnode, "temporary").ok());
    m.fs().forget(file, 1);
  }
  while (m.volume->step_maintenance()) {
  }
  ASSERT_TRUE(m.volume->sync().ok());
  EXPECT_EQ(m.volume->statistics().absorbed, 100u);
  EXPECT_LT(m.volume->statistics().disk.batch_bytes - bytes, 200u);
}

}  // namespace
}  // namespace scalefs::volume
