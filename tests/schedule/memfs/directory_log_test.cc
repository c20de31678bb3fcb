// Directories and their log under seeded interleavings, every core's clock off by a random amount:
// whatever the order in which names were made, removed, linked and moved, the records in the order
// of their stamps give the tree that memory has (I2, I3, P9), and one that was cut off is complete
// up to there. Canary: buckets that forget stamps.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/schedule.h"
#include "memfs/directory.h"
#include "tests/schedule/memfs/worlds.h"
#include "tests/support/fake_names.h"
#include "tests/support/skewed_cores.h"

namespace scalefs::memfs {
namespace {

using schedule::choose;

constexpr int kWorkers = 3;
constexpr int kCalls = 8;  // a worker
constexpr uint64_t kNames = 3;
constexpr int64_t kFuture = int64_t{1} << 61;

class World {
 public:
  explicit World(uint64_t seed) : seed_(seed), cores_(4, seed, 3000) {
    MemFs& fs = disk_.mount();
    directories_ = {kRootMnode, fs.mkdir(kRootMnode, "sub", 0700, kCaller)->attr.mnode};
    file_ = fs.create(kRootMnode, "file", 0600, true, kCaller)->attr.mnode;
    disk_.commit();
  }

  // What is wrong; empty: nothing.
  std::string run() {
    ::testing::TestPartResultArray complaints;
    {
      // The backend's: of records that contradict those before.
      ::testing::ScopedFakeTestPartResultReporter reporter(
          ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &complaints);
      std::vector<std::function<void()>> bodies(kWorkers, [this] { work(); });
      bodies.emplace_back([this] { keep_house(); });
      schedule::run({.seed = seed_, .switch_percent = percent_of(seed_)}, bodies);
      disk_.commit();
    }
    for (int i = 0; i < complaints.size(); ++i)
      if (complaints.GetTestPartResult(i).failed())
        return complaints.GetTestPartResult(i).message();
    if (disk_.log_bytes != 0 || disk_.tree_places != 0) return "room is missing";
    for (const MnodeNo directory : directories_) compare(directory);
    return wrong_;
  }

 private:
  static std::string some_name() { return "n" + std::to_string(choose(kNames)); }
  MnodeNo some_directory() const { return directories_[choose(directories_.size())]; }
  void give_back(const Result<Entry>& entry) {
    if (entry.ok()) disk_.fs().forget(entry->attr.mnode, 1);
  }

  void work() {
    MemFs& fs = disk_.fs();
    for (int i = 0; i < kCalls; ++i) {
      const MnodeNo d = some_directory();
      switch (choose(7)) {
        case 0:
        case 1: give_back(fs.create(d, some_name(), 0600, true, kCaller)); break;
        case 2:
        case 3: (void)fs.unlink(d, some_name()); break;
        case 4: {
          const auto mode = static_cast<RenameMode>(choose(3));
          (void)fs.rename(d, some_name(), some_directory(), some_name(), mode, kCaller);
          break;
        }
        case 5: give_back(fs.link(file_, d, some_name())); break;
        default: {
          SetAttr time;
          time.mtime_ns = choose(2) == 0 ? kFuture : -5;
          (void)fs.setattr(d, time);
        }
      }
    }
  }

  void keep_house() {
    for (int i = 0; i < 5; ++i) {
      disk_.commit();
      if (choose(2) == 0) disk_.checkpoint();
      (void)disk_.fs().maintain();
    }
  }

  void compare(MnodeNo directory) {
    MemFs& fs = disk_.fs();
    const FakeNames::Object& committed = disk_.committed().at(directory);
    std::map<std::string, MnodeNo> names;
    (void)fs.readdir(directory, 2, [&](const DirectoryEntry& e) {
      names.emplace(e.name, e.mnode);
      return true;
    });
    if (names != committed.names) return say("other names than memory has");
    for (const auto& [name, number] : names) {
      give_back(fs.lookup(directory, name));
      const auto attr = fs.getattr(number);
      if (!attr.ok() || attr->nlink != disk_.committed().at(number).attr.nlink)
        return say("another count of links than memory has");
    }
    // Which of two changes with one stamp is the later one is the log's affair alone.
    if (disk_.equal_stamps != 0) return;
    const int64_t shown = fs.getattr(directory)->mtime_ns;
    if (era(shown) != era(committed.attr.mtime_ns))
      say("mtime " + std::to_string(committed.attr.mtime_ns) + ", memory " + std::to_string(shown));
  }
  // Threads read the clock before they are given a stamp, so not to the nanosecond.
  static int era(int64_t mtime_ns) { return mtime_ns < 0 ? -1 : mtime_ns < kFuture ? 0 : 1; }
  void say(const std::string& what) {
    if (wrong_.empty()) wrong_ = "the log has " + what;
  }

  const uint64_t seed_;
  const testing::SkewedCores cores_;  // before the log
  FakeNames disk_;
  std::vector<MnodeNo> directories_;
  MnodeNo file_;
  std::string wrong_;
};

TEST(DirectoryLogSchedule, RecordsInOrderGiveTheTreeOfMemory) {
  EXPECT_EQ(first_wrong(200, [](uint64_t seed) { return World(seed).run(); }), "");
}

// A time that is set, and one change of the directory that is folded at once: which of them was later is the same in memory
// and in the log. Few switches, so that all of the change fits between two steps of the setting.
std::string set_and_change(uint64_t seed) {
  const testing::SkewedCores cores(2, seed);
  FakeNames disk;
  MemFs& fs = disk.mount();
  schedule::run({.seed = seed, .switch_percent = 1 + static_cast<int>(seed % 2)},
                {[&] {
                   SetAttr time;
                   time.mtime_ns = kFuture;
                   (void)fs.setattr(kRootMnode, time);
                 },
                 [&] {
                   (void)fs.create(kRootMnode, "f", 0600, true, kCaller);
                   (void)fs.maintain();
                 }});
  disk.commit();
  if (disk.equal_stamps != 0) return {};
  const bool shown = fs.getattr(kRootMnode)->mtime_ns == kFuture;
  const bool logged = disk.committed().at(kRootMnode).attr.mtime_ns == kFuture;
  return shown == logged ? "" : shown ? "memory says set, the log changed" : "the log says set";
}

TEST(DirectoryLogSchedule, ASetTimeAndAChangeHaveOneOrder) {
  EXPECT_EQ(first_wrong(testing::kSanitized ? 300 : 3000, set_and_change), "");
}

TEST(DirectoryLogSchedule, ASeedRepeatsItsRun) {
  bucket_stamp_canary = true;
  const auto run = [](uint64_t seed) {
    epoch::drain();
    return World(seed).run();
  };
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(run(seed), run(seed)) << seed;
  bucket_stamp_canary = false;
}

TEST(DirectoryLogSchedule, CanaryBucketsThatForgetStamps) {
  bucket_stamp_canary = true;
  const std::string found = first_wrong(100, [](uint64_t seed) { return World(seed).run(); });
  bucket_stamp_canary = false;
  EXPECT_NE(found, "");
}

}  // namespace
}  // namespace scalefs::memfs
