// The n-th write, flush or read of a volume's life fails, for every n: whoever depends on it hears of
// it, nothing is acknowledged after it that is not durable, and the next mount has every
// acknowledged commit.
#include <fmt/format.h>

#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 768;
using Call = FaultDevice::Call;

// One life of a volume, until something fails.
struct Life {
  explicit Life(uint64_t number) : seed(number), memory(kBlocks), device(memory), history(number) {
    format_tiny(memory, 24);
    auto fs = mount_or_fail(memory);
    history.adopt(*fs);
    EXPECT_EQ(fs->unmount().code(), 0);
  }

  void run();
  // Mounts without faults and compares; the fault, empty when there is none.
  std::string remount();

  const uint64_t seed;
  MemoryDevice memory;
  FaultDevice device;
  DiskHistory history;
  bool failed = false;         // something answered an error
  uint64_t acknowledged = 0;
  uint64_t attempted = 0;
};

void Life::run() {
  std::string why;
  auto mounted = DiskFs::mount(device, {}, &why);
  if (!mounted.ok()) {
    EXPECT_NE(why, "");
    failed = true;
    return;
  }
  DiskFs& fs = **mounted;
  for (int i = 0; i < 14 && !failed; ++i) {
    if (i % 5 == 4) {
      const Status status = fs.checkpoint();
      if (!status.ok()) {
        failed = true;
        EXPECT_EQ(status.code(), EIO);
        EXPECT_TRUE(fs.failed());
      }
      continue;
    }
    Batch batch;
    if (!history.fill(fs, 12, &batch).ok()) {
      // The data of one file could not be written or a tree not read: that is the caller's to report.
      failed = true;
      break;
    }
    attempted = fs.committed_seq() + 1;
    const auto committed = history.commit(fs, batch);
    if (committed.ok()) {
      acknowledged = *committed;
      continue;
    }
    failed = true;
    EXPECT_EQ(committed.code(), EIO);
    EXPECT_TRUE(fs.failed());
  }
  if (fs.failed()) {
    Batch batch;
    batch.put_orphan(kRootIno);
    EXPECT_EQ(fs.commit(batch).code(), EROFS);
    EXPECT_EQ(fs.checkpoint().code(), EROFS);
    EXPECT_EQ(fs.unmount().code(), EROFS);
    EXPECT_EQ(fs.committed_seq(), acknowledged);
    device.clear();
    EXPECT_EQ(compare_state(fs, history.state(fs.checkpointed_seq())), "") << "reads go on";
  } else if (!failed) {
    failed = !fs.unmount().ok();
  }
}

std::string Life::remount() {
  std::string why;
  auto mounted = DiskFs::mount(memory, {}, &why);
  if (!mounted.ok()) return "mount: " + why;
  const uint64_t found = (*mounted)->committed_seq();
  if (found < acknowledged || found > std::max(attempted, acknowledged)) {
    return fmt::format("batch {}, acknowledged {}", found, acknowledged);
  }
  std::string fault = compare_state(**mounted, history.state(found));
  return fault.empty() ? check_volume(memory) : fault;
}

// Every n until a life passes without meeting the fault.
void fail_every(Call call, bool later_too, bool tear, int error = EIO) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    for (uint64_t n = 1;; ++n) {
      SCOPED_TRACE(fmt::format("seed {}, call {}", seed, n));
      ASSERT_LT(n, 1000u);
      Life life(seed);
      life.device.set_tear_failed_writes(tear);
      life.device.fail(call, n, error, later_too);
      life.run();
      const bool met = life.device.calls(call) >= n;
      // One unreadable copy of a superblock is what the other copies are for.
      const bool survivable = call == Call::read && !later_too;
      EXPECT_TRUE(life.failed || !met || survivable) << "an error that nobody heard of";
      EXPECT_TRUE(met || !life.failed) << "an error without a cause";
      ASSERT_EQ(life.remount(), "");
      if (!met) break;
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(DiskFsFault, EveryWriteFails) { fail_every(Call::write, true, false); }
TEST(DiskFsFault, OneWriteFailsHalfDone) { fail_every(Call::write, false, true); }
TEST(DiskFsFault, TheHostHasNoRoom) { fail_every(Call::write, true, true, ENOSPC); }
TEST(DiskFsFault, EveryFlushFails) { fail_every(Call::flush, true, false); }
TEST(DiskFsFault, OneFlushFails) { fail_every(Call::flush, false, false); }
TEST(DiskFsFault, EveryReadFails) { fail_every(Call::read, true, false); }
TEST(DiskFsFault, OneReadFails) { fail_every(Call::read, false, false); }

// No block is free for the checkpoint: it answers ENOSPC, changes nothing, and works once there is room.
TEST(DiskFsFault, AFullVolumeFailsNoCheckpointForGood) {
  for (uint64_t left = 0; left < 40; ++left) {
    SCOPED_TRACE(fmt::format("{} blocks left", left));
    MemoryDevice memory(kBlocks);
    format_tiny(memory, 24);
    auto fs = mount_or_fail(memory);
    ASSERT_TRUE(fs);
    DiskHistory history(left);
    history.free_blocks_min = 0;
    history.adopt(*fs);
    ASSERT_EQ(history.step(*fs, 40).code(), 0);
    ASSERT_EQ(fs->checkpoint().code(), 0);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(history.step(*fs, 40).code(), 0);
    std::vector<BlockRun> taken;  // as by writes whose batch is still to come
    while (fs->allocator().free_blocks() > left) {
      const auto run = fs->allocator().allocate(0, fs->allocator().free_blocks() - left);
      ASSERT_TRUE(run.ok());
      taken.push_back(*run);
    }
    const Status status = fs->checkpoint();
    ASSERT_TRUE(status.ok() || status.code() == ENOSPC) << status.code();
    ASSERT_FALSE(fs->failed());
    if (!status.ok()) {
      EXPECT_LT(left, fs->checkpoint_blocks_bound());
      EXPECT_GE(fs->allocator().free_blocks(), left) << "the attempt kept blocks";
      EXPECT_EQ(compare_state(*fs, history.state(fs->checkpointed_seq())), "");
      for (const BlockRun& run : taken) fs->allocator().free(run);
      taken.clear();
      ASSERT_EQ(fs->checkpoint().code(), 0);
    }
    ASSERT_EQ(compare_state(*fs, history.newest()), "");
    ASSERT_EQ(check_volume(memory), "");
  }
}

// A device that lies: the n-th write is lost, goes elsewhere, or changes a byte, and answers ok. What
// is read afterwards is right or refused, never wrong.
enum class Lie { lost, misdirected, corrupted };

void lie_every(Lie lie) {
  Random random(static_cast<uint64_t>(lie) + 1);
  uint64_t refused = 0;
  uint64_t n = 1;
  for (;; ++n) {
    SCOPED_TRACE(fmt::format("write {}", n));
    Life life(3);
    switch (lie) {
      case Lie::lost: life.device.lose_write(n); break;
      case Lie::misdirected:
        life.device.misdirect_write(n, BlockNo(random.between(300, kBlocks - 200)));
        break;
      case Lie::corrupted:
        life.device.corrupt_write(n, random.below(3 * kBlockBytes), std::byte{0x10});
        break;
    }
    std::string why;
    auto mounted = DiskFs::mount(life.device, {}, &why);
    ASSERT_TRUE(mounted.ok()) << why;
    for (int i = 0; i < 14; ++i) {
      // Damage may be found on the way.
      if (!life.history.step(**mounted, 12).ok() || (i % 5 == 4 && !(*mounted)->checkpoint().ok())) {
        break;
      }
    }
    mounted->reset();
    const bool met = life.device.calls(Call::write) >= n;
    auto again = DiskFs::mount(life.memory, {}, &why);
    if (!again.ok()) {
      ++refused;
      EXPECT_EQ(again.code(), EUCLEAN) << why;
      continue;
    }
    const std::string fault =
        compare_state(**again, life.history.state((*again)->committed_seq()));
    if (!fault.empty()) {
      ++refused;
      EXPECT_NE(fault.find(fmt::format(": {}", EUCLEAN)), std::string::npos) << fault;
    }
    if (!met) break;
  }
  EXPECT_GT(refused, n / 20) << "most lies leave a trace";
}

TEST(DiskFsFault, LostWritesAreNeverServed) { lie_every(Lie::lost); }
TEST(DiskFsFault, MisdirectedWritesAreNeverServed) { lie_every(Lie::misdirected); }
TEST(DiskFsFault, CorruptedWritesAreNeverServed) { lie_every(Lie::corrupted); }

}  // namespace
}  // namespace scalefs::diskfs
