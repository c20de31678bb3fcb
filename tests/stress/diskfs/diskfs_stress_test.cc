// Commits, checkpoints and readers in threads of their own on one volume.
#include <fmt/format.h>

#include <thread>

#include "base/atomic.h"
#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {
namespace {

// Reads what a pin shows, all of it, until `done`: nothing that it reads may have been overwritten.
void read_until(DiskFs& fs, const Atomic<bool>& done, uint64_t seed, Atomic<uint64_t>& reads) {
  Random random(seed);
  std::vector<std::byte> block(kBlockBytes);
  do {
    const uint64_t covered = fs.checkpointed_seq();
    const CheckpointPin pin = fs.pin();
    ASSERT_GE(pin.covered_seq(), covered);
    for (int i = 0; i < 20; ++i) {
      const Ino ino(random.between(1, 120));
      const auto item = pin.reader().inode(ino);
      if (item.code() == ENOENT) continue;
      ASSERT_TRUE(item.ok()) << item.code();
      const auto mappings = pin.reader().map(ino, 0, 100);
      ASSERT_TRUE(mappings.ok());
      for (const Mapping& mapping : *mappings) {
        if (mapping.kind != Mapping::Kind::extent) continue;
        ASSERT_EQ(fs.read_data(mapping.block, mapping.crcs[0], block).code(), 0);
        reads.fetch_add(1, relaxed);
      }
      ASSERT_TRUE(pin.reader().list(ino, 0, 100).ok());
    }
    (void)fs.journal_fill();
    (void)fs.checkpoint_blocks_bound();
    (void)fs.statistics();
  } while (!done.load(acquire));  // pairs with the committer's release
}

TEST(DiskFsStress, CommitsCheckpointsAndReaders) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    MemoryDevice device(3072);
    format_tiny(device, seed == 1 ? 32 : 256);
    auto fs = mount_or_fail(device);
    ASSERT_TRUE(fs);
    DiskHistory history(seed);
    history.free_blocks_min = 800;
    history.adopt(*fs);
    Atomic<bool> done{false};
    std::thread checkpointer([&] {
      while (!done.load(acquire)) {  // pairs with the committer's release
        ASSERT_EQ(fs->checkpoint().code(), 0);
      }
    });
    Atomic<uint64_t> reads{0};
    std::vector<std::thread> readers;
    for (uint64_t i = 0; i < 2; ++i) {
      readers.emplace_back([&, i] { read_until(*fs, done, seed * 10 + i, reads); });
    }
    for (int i = 0; i < 60; ++i) {
      const auto committed = history.step(*fs, 20);
      EXPECT_EQ(committed.code(), 0);
      if (!committed.ok()) break;
      history.forget_before(*committed);
    }
    // The readers may not have had a processor yet, or no checkpoint with files in it.
    while (reads.load(relaxed) == 0 && !HasFailure()) std::this_thread::yield();
    done.store(true, release);  // pairs with the loops
    checkpointer.join();
    for (std::thread& reader : readers) reader.join();
    const uint64_t committed = fs->committed_seq();
    fs.reset();
    fs = mount_or_fail(device);
    ASSERT_TRUE(fs);
    ASSERT_EQ(fs->committed_seq(), committed);
    ASSERT_EQ(compare_state(*fs, history.newest()), "");
    ASSERT_EQ(check_volume(device), "");
  }
}

}  // namespace
}  // namespace scalefs::diskfs
