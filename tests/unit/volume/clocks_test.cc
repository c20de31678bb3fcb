// Clocks and processors that change: the wall clock set back within a mount and between mounts, cycle counters that are
// not synchronised, calls that come from other cores each time, and a machine with more or fewer of them at the next
// mount.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <functional>
#include <set>

#include "base/clock.h"
#include "base/core.h"
#include "tests/support/history.h"
#include "tests/support/seeds.h"
#include "tests/support/skewed_cores.h"
#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

constexpr int64_t kStart = 1'700'000'000'000'000'000;
constexpr int64_t kHour = 3'600'000'000'000;

class WallClock : public ::testing::Test {
 protected:
  void SetUp() override {
    set_wall_for_test(kStart);
    ASSERT_TRUE(m_.mount().ok());
    dir_ = m_.mkdir(kRootMnode, "dir");
    file_ = m_.create(dir_, "file");
    ASSERT_EQ(m_.write(file_, 0, std::string(10'000, 'x')), 0);
    ASSERT_TRUE(m_.fs().setxattr(file_, "user.a", {}, memfs::XattrMode::set).ok());
  }
  void TearDown() override { set_wall_for_test(-1); }

  struct Change {
    const char* name;
    std::function<bool()> make;
    bool of_directory = false;  // changes it too
  };
  std::vector<Change> changes() {
    const auto set = [this](auto what) {
      memfs::SetAttr change;
      what(change);
      return m_.fs().setattr(file_, change).ok();
    };
    return {
        {"write", [this] { return m_.write(file_, 5000, "text") == 0; }},
        {"append", [this] { return m_.fs().append(file_, std::as_bytes(std::span("a", 1))).ok(); }},
        {"truncate", [=] { return set([](auto& c) { c.size = 8000; }); }},
        {"chmod", [=] { return set([](auto& c) { c.mode = 0600; }); }},
        {"chown", [=] { return set([](auto& c) { c.uid = 7; }); }},
        {"utimes", [=] { return set([](auto& c) { c.mtime_ns = 5; }); }},
        {"fallocate",
         [this] {
           return m_.fs().allocate(file_, memfs::AllocateMode::punch_hole, 0, kBlockBytes).ok();
         }},
        {"setxattr",
         [this] {
           return m_.fs().setxattr(file_, "user.b", {}, memfs::XattrMode::set).ok();
         }},
        {"removexattr", [this] { return m_.fs().removexattr(file_, "user.b").ok(); }},
        {"link", [this] { return m_.fs().link(file_, dir_, "second").ok(); }, true},
        {"rename",
         [this] {
           return m_.fs()
               .rename(dir_, "second", dir_, "third", memfs::RenameMode::replace, {})
               .ok();
         },
         true},
        {"unlink", [this] { return m_.fs().unlink(dir_, "third").ok(); }, true},
    };
  }
  // Both objects' times of change may only grow.
  void look(const std::string& when) {
    const int64_t file = m_.attr(file_).ctime_ns, dir = m_.attr(dir_).ctime_ns;
    EXPECT_GE(file, file_ctime_) << when;
    EXPECT_GE(dir, dir_ctime_) << when;
    file_ctime_ = file;
    dir_ctime_ = dir;
  }
  void look_up() {
    ASSERT_EQ(m_.find("dir"), dir_);
    ASSERT_EQ(m_.find("dir/file"), file_);
  }

  Mounted m_;
  MnodeNo dir_, file_;
  int64_t file_ctime_ = 0, dir_ctime_ = 0;
};

TEST_F(WallClock, SetBackWithinAMountLowersNoTimeOfChange) {
  look("at the start");
  int64_t now = kStart;
  for (const Change& change : changes()) {
    set_wall_for_test(now -= kHour);
    ASSERT_TRUE(change.make()) << change.name;
    look(change.name);
    EXPECT_GE(file_ctime_, kStart) << change.name;
    // And forward a little, behind what it was: as long as it is behind, nothing moves back.
    set_wall_for_test(now + kHour / 2);
    ASSERT_TRUE(m_.volume->fsync(file_, false).ok());
    look(change.name);
  }
  set_wall_for_test(kStart + kHour);
  ASSERT_EQ(m_.write(file_, 0, "later"), 0);
  look("ahead again");
  EXPECT_EQ(file_ctime_, kStart + kHour);
}

TEST_F(WallClock, SetBackBetweenMountsLowersNoTimeOfChange) {
  int64_t now = kStart;
  bool crash = false;
  for (const Change& change : changes()) {
    look(change.name);
    ASSERT_TRUE(m_.volume->fsync(file_, false).ok());
    if (crash) {
      m_.crash_and_mount();
    } else {
      m_.unmount_and_mount();
    }
    crash = !crash;
    set_wall_for_test(now -= kHour);
    look_up();
    look(fmt::format("before {}, mounted again", change.name));
    ASSERT_TRUE(change.make()) << change.name;
    look(change.name);
    ASSERT_TRUE(m_.volume->fsync(file_, false).ok());
    m_.crash_and_mount();
    look_up();
    look(fmt::format("{}, after a crash", change.name));
  }
}

// One thread whose calls come from another core each time, as when its affinity changes.
class Cpus : public ::testing::TestWithParam<uint64_t> {
 protected:
  Cpus() : cores_(core_count()) {}
  ~Cpus() override {
    set_core_count_for_test(cores_);
    set_thread_core(-1);
    set_wall_for_test(-1);
  }
  uint64_t seed() const {
    uint64_t seed = GetParam() < 2 ? GetParam() : testing::commit_seed(GetParam());
    testing::seed_given(&seed);
    return seed;
  }
  // Steps of the history, and of what maintains the volume, on any core.
  static void work(testing::History& history, Volume& volume, Random& random, int calls) {
    for (int i = 0; i < calls; ++i) {
      set_thread_core(static_cast<int32_t>(random.below(2 * core_count())));
      ASSERT_TRUE(history.step());
      if (random.percent(3)) volume.step_commit();
      if (random.percent(2)) volume.step_writeback();
      if (random.percent(1)) volume.step_checkpoint();
      if (random.percent(3)) volume.step_maintenance();
    }
    ASSERT_TRUE(history.compare_all());
  }
  // Of all that is there; numbers of what has gone before stay in `seen`.
  static void expect_new_numbers(const testing::History& history, std::set<uint64_t>* seen,
                                 std::map<testing::ModelId, uint64_t>* known) {
    for (const auto& [id, node] : history.model().nodes()) {
      const MnodeNo* mnode = history.known(id);
      if (mnode == nullptr) continue;
      const auto [at, fresh] = known->emplace(id, mnode->v);
      EXPECT_EQ(at->second, mnode->v) << "another number";
      EXPECT_TRUE(!fresh || seen->insert(mnode->v).second) << "given twice: " << mnode->v;
    }
  }

  const uint32_t cores_;
};

TEST_P(Cpus, AnotherNumberAtEachMountAndSkewedCounters) {
  SCOPED_TRACE(fmt::format("SCALEFS_SEED={} unit_volume --gtest_filter='*Cpus*'", seed()));
  Random random(seed());
  set_wall_for_test(1);
  const auto device = testing::formatted_device(64u << 20);
  VolumeOptions options;
  options.threads = false;
  testing::HistoryOptions history_options;
  history_options.seed = seed();
  std::unique_ptr<testing::History> history;
  std::set<uint64_t> seen;
  std::map<testing::ModelId, uint64_t> known;
  for (const uint32_t cores : {2u, 1u, 128u, 3u, 1024u, 1u, 16u}) {
    SCOPED_TRACE(fmt::format("{} cores", cores));
    // Apart by seconds, either way.
    testing::SkewedCores skewed(cores, random.next(), uint64_t{10} << 30);
    std::string why;
    auto mounted = Volume::mount(*device, options, &why);
    ASSERT_TRUE(mounted.ok()) << why;
    Volume& volume = **mounted;
    if (history) {
      history->remounted(volume);
      ASSERT_TRUE(history->compare_all());
    } else {
      history = std::make_unique<testing::History>(history_options, volume);
    }
    work(*history, volume, random, testing::kSanitized ? 60 : 250);
    if (HasFatalFailure()) return;
    expect_new_numbers(*history, &seen, &known);
    if (random.percent(50)) {
      ASSERT_TRUE(history->sync());
      volume.shutdown();
    } else {
      ASSERT_TRUE(volume.unmount().ok());
    }
    mounted->reset();
    testing::expect_clean(*device);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Cpus, ::testing::Range<uint64_t>(0, testing::kSanitized ? 2 : 4));

}  // namespace
}  // namespace scalefs::volume
