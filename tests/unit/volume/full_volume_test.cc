// Small volumes filled to the last block and emptied again, over crashes: what gives space back is never
// refused (I9), nothing that was synced is lost, and no room is lost from one filling to the next.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base/random.h"
#include "diskfs/crash_image.h"
#include "diskfs/format.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"
#include "volume/volume.h"

namespace scalefs::volume {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint32_t kFileMode = 0100644;

// A volume whose device forgets what was not flushed.
class CrashingVolume {
 public:
  CrashingVolume(uint64_t bytes, bool threads)
      : device_(std::make_unique<diskfs::MemoryDevice>(bytes / kBlockBytes)) {
    options_.threads = threads;
    std::string why;
    EXPECT_TRUE(diskfs::format(*device_, diskfs::FormatOptions(), &why).ok()) << why;
    mount();
  }
  ~CrashingVolume() {
    if (volume_) volume_->shutdown();
  }

  memfs::MemFs& fs() { return volume_->fs(); }
  Volume& volume() { return *volume_; }

  void crash(uint64_t seed) {
    EXPECT_EQ(volume_->statistics().disk.checkpoints_without_room, 0u);
    volume_->shutdown();
    volume_.reset();
    diskfs::CrashImages images(*start_, *recording_);
    images.advance(recording_->event_count());
    device_ = images.build(seed % 2 == 0 ? diskfs::CrashImages::keep_none()
                                         : diskfs::CrashImages::keep_random(seed));
    testing::expect_clean(*device_);
    mount();
  }
  void remount() {
    ASSERT_TRUE(volume_->unmount().ok());
    volume_.reset();
    testing::expect_clean(*device_);
    mount();
  }

 private:
  void mount() {
    start_ = device_->clone();
    recording_ = std::make_unique<diskfs::RecordingDevice>(*device_);
    std::string why;
    auto mounted = Volume::mount(*recording_, options_, &why);
    ASSERT_TRUE(mounted.ok()) << why;
    volume_ = std::move(*mounted);
  }

  VolumeOptions options_;
  std::unique_ptr<diskfs::MemoryDevice> device_, start_;
  std::unique_ptr<diskfs::RecordingDevice> recording_;
  std::unique_ptr<Volume> volume_;
};

struct Case {
  uint64_t bytes;
  bool threads;
  uint64_t seed;
};

class FullVolume : public ::testing::TestWithParam<Case> {
 protected:
  FullVolume() : v_(GetParam().bytes, GetParam().threads) {}
  void TearDown() override {
    EXPECT_EQ(v_.volume().statistics().disk.checkpoints_without_room, 0u);
  }
  static uint64_t seed() {
    uint64_t given = 0;
    return testing::seed_given(&given) ? given : GetParam().seed;
  }
  static std::string what() {
    return fmt::format("{} MiB, SCALEFS_SEED={}", GetParam().bytes / kMiB, seed());
  }

  MnodeNo folder(const std::string& name) {
    const auto made = v_.fs().mkdir(kRootMnode, name, 040755, memfs::Caller{});
    EXPECT_TRUE(made.ok()) << made.code();
    return made.ok() ? made->attr.mnode : MnodeNo{};
  }
  // The object's number, kept by a lookup count; empty after ENOSPC.
  MnodeNo find(MnodeNo dir, const std::string& name) {
    const auto entry = v_.fs().lookup(dir, name);
    EXPECT_TRUE(entry.ok()) << name << ": " << entry.code();
    return entry.ok() ? entry->attr.mnode : MnodeNo{};
  }
  std::string content(uint64_t number, size_t size) {
    std::string text;
    while (text.size() < size) text += fmt::format("{:015}\n", number);
    text.resize(size);
    return text;
  }

  // False when the volume is full; the name is gone then.
  bool add_file(MnodeNo dir, uint64_t number, size_t size) {
    const std::string name = std::to_string(number);
    const auto made = v_.fs().create(dir, name, kFileMode, true, memfs::Caller{});
    if (!made.ok()) {
      EXPECT_EQ(made.code(), ENOSPC);
      return false;
    }
    const std::string text = content(number, size);
    const auto written =
        v_.fs().write(made->attr.mnode, 0, std::as_bytes(std::span(text)));
    const bool whole = written.ok() && *written == size;
    if (!whole) {
      EXPECT_TRUE(written.ok() || written.code() == ENOSPC) << written.code();
      EXPECT_EQ(v_.fs().unlink(dir, name).code(), 0);
    }
    v_.fs().forget(made->attr.mnode, 1);
    return whole;
  }
  uint64_t fill(MnodeNo dir, size_t size) {
    uint64_t count = 0;
    while (count < 100'000 && add_file(dir, count, size)) ++count;
    return count;
  }
  void remove_all(MnodeNo dir, uint64_t count) {
    std::vector<uint64_t> order(count);
    for (uint64_t i = 0; i < count; ++i) order[i] = i;
    if (random_.percent(50)) {
      for (uint64_t i = count; i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    }
    for (const uint64_t number : order) {
      const std::string name = std::to_string(number);
      const MnodeNo file = find(dir, name);
      const Status status = v_.fs().unlink(dir, name);
      ASSERT_EQ(status.code(), 0) << "unlink of " << name << " on a full volume";
      v_.fs().forget(file, 1);
      if (random_.below(400) == 0) settle();
    }
  }
  // What threads do, or would do.
  void settle() {
    ASSERT_EQ(v_.volume().sync().code(), 0);
    v_.volume().step_maintenance();
    v_.volume().step_checkpoint();
  }
  void settle_all() {
    for (int i = 0; i < 8; ++i) {
      ASSERT_EQ(v_.volume().sync().code(), 0);
      while (v_.volume().step_maintenance()) std::this_thread::yield();
      v_.volume().step_checkpoint();
      v_.volume().step_checkpoint();
    }
  }

  // --- a tree of everything
  struct Named {
    MnodeNo dir;
    std::string name;
    bool directory = false;
  };
  std::string long_name(uint64_t number) {
    std::string name = fmt::format("{}-", number);
    name.resize(random_.percent(50) ? name.size() : random_.between(name.size(), 255), 'n');
    return name;
  }
  bool room(const Status& status) {
    EXPECT_TRUE(status.ok() || status.code() == ENOSPC) << status.code();
    return status.ok();
  }
  // One more object, in a directory of the tree. False: the volume is full.
  bool grow_tree(std::vector<Named>* tree, std::vector<MnodeNo>* dirs, uint64_t number) {
    const MnodeNo dir = (*dirs)[random_.below(dirs->size())];
    const std::string name = long_name(number);
    const uint64_t kind = random_.below(100);
    Result<memfs::Entry> made = Errno(EIO);
    if (kind < 25) {
      made = v_.fs().mkdir(dir, name, 040755, memfs::Caller{});
      if (made.ok()) dirs->push_back(made->attr.mnode);
    } else if (kind < 45) {
      made = v_.fs().symlink(dir, name, std::string(random_.between(1, 4000), 's'),
                             memfs::Caller{});
    } else {
      made = v_.fs().create(dir, name, kFileMode, true, memfs::Caller{});
    }
    if (!room(made.ok() ? Status() : Status(made.error()))) return false;
    tree->push_back({dir, name, kind < 25});
    bool all = true;
    if (kind >= 45) {
      const std::string text = content(number, random_.between(0, 12000));
      const auto written =
          v_.fs().write(made->attr.mnode, 0, std::as_bytes(std::span(text)));
      all = room(written.ok() ? Status() : Status(written.error()));
      if (random_.percent(30)) {
        const std::string other = long_name(number) + "l";
        const auto link = v_.fs().link(made->attr.mnode, dir, other.substr(0, 255));
        if (link.ok()) {
          tree->push_back({dir, other.substr(0, 255), false});
          v_.fs().forget(link->attr.mnode, 1);
        }
        all &= link.ok() || link.code() == EEXIST || room(Status(link.error()));
      }
    }
    if (random_.percent(40)) {
      const std::string value(random_.between(0, 4000), 'x');
      all &= room(v_.fs().setxattr(made->attr.mnode, kind < 45 && kind >= 25 ? "trusted.a" : "user.a",
                                   std::as_bytes(std::span(value)), memfs::XattrMode::set));
    }
    if (kind >= 25) v_.fs().forget(made->attr.mnode, 1);
    return all;
  }
  // What gives something back, and must not be refused.
  void shrink(const Named& named) {
    const MnodeNo object = find(named.dir, named.name);
    if (random_.percent(30)) {
      const Status removed = v_.fs().removexattr(object, "user.a");
      ASSERT_TRUE(removed.ok() || removed.code() == ENODATA || removed.code() == EPERM)
          << "removexattr: " << removed.code();
    }
    const auto attr = v_.fs().getattr(object);
    ASSERT_TRUE(attr.ok());
    if ((attr->mode & 0170000) == 0100000 && attr->size > 0 && random_.percent(50)) {
      memfs::SetAttr change;
      change.size = random_.below(attr->size);
      const auto cut = v_.fs().setattr(object, change);
      ASSERT_TRUE(cut.ok()) << "truncate: " << cut.code();
    }
    v_.fs().forget(object, 1);
  }
  void remove(const Named& named) {
    const MnodeNo object = find(named.dir, named.name);
    const Status status = named.directory ? v_.fs().rmdir(named.dir, named.name)
                                          : v_.fs().unlink(named.dir, named.name);
    ASSERT_EQ(status.code(), 0) << (named.directory ? "rmdir" : "unlink");
    v_.fs().forget(object, named.directory ? 2 : 1);
  }

  Random random_{seed()};
  CrashingVolume v_;
};

TEST_P(FullVolume, IsEmptiedAfterACrashAndFilledAgain) {
  SCOPED_TRACE(what());
  const size_t size = kBlockBytes;
  const uint64_t count = fill(folder("small"), size);
  fmt::print("{} files of 4 KiB in {} MiB\n", count, GetParam().bytes / kMiB);
  ASSERT_GT(count * size, GetParam().bytes / 2);
  ASSERT_EQ(v_.volume().sync().code(), 0);
  ASSERT_NO_FATAL_FAILURE(v_.crash(seed()));
  const MnodeNo dir = find(kRootMnode, "small");
  std::string text(size, '\0');
  for (uint64_t i = 0; i < count; ++i) {
    const MnodeNo file = find(dir, std::to_string(i));
    const auto got = v_.fs().read(file, 0, std::as_writable_bytes(std::span(text)));
    ASSERT_TRUE(got.ok() && *got == size && text == content(i, size)) << i;
    v_.fs().forget(file, 1);
  }
  ASSERT_NO_FATAL_FAILURE(remove_all(dir, count));
  ASSERT_EQ(v_.fs().rmdir(kRootMnode, "small").code(), 0);
  v_.fs().forget(dir, 1);
  ASSERT_FALSE(v_.volume().failed());
  ASSERT_NO_FATAL_FAILURE(settle_all());
  ASSERT_NO_FATAL_FAILURE(v_.remount());
  const uint64_t again = fill(folder("next"), size);
  EXPECT_GE(again + count / 100 + 8, count);
  EXPECT_LE(again, count + count / 100 + 8);
  ASSERT_NO_FATAL_FAILURE(v_.remount());
  EXPECT_FALSE(v_.volume().failed());
}

TEST_P(FullVolume, OfEverythingIsCutAndEmptied) {
  SCOPED_TRACE(what());
  ASSERT_NO_FATAL_FAILURE(settle_all());
  const uint64_t before = v_.volume().statfs().blocks_free;
  std::vector<MnodeNo> dirs{kRootMnode};
  std::vector<Named> tree;
  uint64_t number = 0;
  for (int refused = 0; refused < 20; ++number) {
    if (!grow_tree(&tree, &dirs, number)) ++refused;
    if (random_.below(2000) == 0) {
      ASSERT_NO_FATAL_FAILURE(settle());
    }
  }
  fmt::print("{} names, {} directories in {} MiB\n", tree.size(), dirs.size(),
             GetParam().bytes / kMiB);
  ASSERT_EQ(v_.volume().sync().code(), 0);
  ASSERT_NO_FATAL_FAILURE(v_.crash(seed()));
  for (const Named& named : tree) {
    // Directories are looked up for good: the tree names them by number.
    if (named.directory) (void)find(named.dir, named.name);
    if (random_.percent(50)) {
      ASSERT_NO_FATAL_FAILURE(shrink(named));
    }
  }
  // A directory stands behind all that leads to it, and before what it holds.
  for (auto named = tree.rbegin(); named != tree.rend(); ++named) {
    ASSERT_NO_FATAL_FAILURE(remove(*named));
    if (random_.below(1000) == 0) {
      ASSERT_NO_FATAL_FAILURE(settle());
    }
  }
  ASSERT_FALSE(v_.volume().failed());
  ASSERT_NO_FATAL_FAILURE(settle_all());
  ASSERT_NO_FATAL_FAILURE(v_.remount());
  ASSERT_NO_FATAL_FAILURE(settle_all());
  // The numbers of the inodes are kept for others: a small item each.
  EXPECT_GE(v_.volume().statfs().blocks_free + tree.size() / 90 + 8, before);
}

TEST_P(FullVolume, IsFilledAndEmptiedByManyThreads) {
  SCOPED_TRACE(what());
  constexpr int kThreads = 4;
  std::vector<MnodeNo> dirs;
  for (int i = 0; i < kThreads; ++i) dirs.push_back(folder(std::to_string(i)));
  std::vector<uint64_t> counts(kThreads);
  const auto on_all = [&](const auto& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
  };
  on_all([&](int i) { counts[i] = fill(dirs[i], kBlockBytes); });
  on_all([&](int i) {
    for (uint64_t number = 0; number < counts[i]; ++number) {
      const std::string name = std::to_string(number);
      const MnodeNo file = find(dirs[i], name);
      EXPECT_EQ(v_.fs().unlink(dirs[i], name).code(), 0) << "unlink of " << name;
      v_.fs().forget(file, 1);
      if (number % 500 == 0) {
        EXPECT_EQ(v_.volume().sync().code(), 0);
      }
    }
  });
  ASSERT_NO_FATAL_FAILURE(settle_all());
  ASSERT_NO_FATAL_FAILURE(v_.remount());
  EXPECT_EQ(v_.fs().rmdir(kRootMnode, "0").code(), 0);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const uint64_t size : {16, 32, 64}) {
    if (testing::kSanitized && size > 16) continue;
    const uint64_t seeds = testing::count_from("SCALEFS_FULL_SEEDS", 2);
    for (uint64_t i = 0; i < seeds; ++i) {
      const bool threads = i % 2 == 1;
      if (testing::kThreadSanitized && !threads) continue;
      all.push_back({size * kMiB, threads, i % 2 == 0 ? i + 1 : testing::commit_seed(i)});
    }
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  return fmt::format("{}MiB_{}_{}", info.param.bytes / kMiB,
                     info.param.threads ? "threads" : "steps", info.index);
}

INSTANTIATE_TEST_SUITE_P(Small, FullVolume, ::testing::ValuesIn(cases()), name_of);

}  // namespace
}  // namespace scalefs::volume
