// The delta cache by itself: what each core adds, what each way of reading sums, and what becomes of it when
// ways are folded.
#include "memfs/delta_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>

#include "memfs/data_half.h"
#include "memfs/delta_ways.h"
#include "memfs/file_node.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kCores = 4;

class Cores {
 protected:
  Cores() : before_(core_count()) { set_core_count_for_test(kCores); }
  ~Cores() {
    set_thread_core(-1);
    set_core_count_for_test(before_);
  }

 private:
  const uint32_t before_;
};

class DeltaCacheTest : private Cores, public ::testing::Test {
 protected:
  DeltaCacheTest() {
    MnodeInit init;
    init.attr.mnode = MnodeNo(77);
    init.attr.mode = S_IFREG | 0644;
    init.attr.nlink = 1;
    init.attr.atime_ns = init.attr.mtime_ns = init.attr.ctime_ns = 10;
    init.lookups = 1;
    mnode_ = std::make_unique<Mnode>(std::move(init));
    cache_.set_lists(lists_);
    on(0);
  }
  ~DeltaCacheTest() override {
    cache_.forget(*mnode_);
    lists_.dirty.remove(mnode_->dirty_link);
    if (mnode_->file.peek() != nullptr) lists_.cached.remove(mnode_->file->cached_link());
  }
  static void on(uint32_t core) { set_thread_core(static_cast<int32_t>(core)); }
  MetaSums all() const { return cache_.read(*mnode_); }
  int listed(LinkQueue& queue) {
    int count = 0;
    queue.visit([&](Mnode&) { return ++count, LinkQueue::Verdict::drop; },
                [](Mnode&) { return false; });
    return count;
  }

  DataHalf lists_;
  DeltaCache cache_;
  std::unique_ptr<Mnode> mnode_;
};

TEST_F(DeltaCacheTest, EachReadingSumsItsKindsOfWays) {
  cache_.add(*mnode_, {.ctime_ns = 40, .stamp = 4});             // a touch
  on(1);
  cache_.add(*mnode_, {.nlink = 2, .ctime_ns = 30, .stamp = 3});  // links
  on(2);
  cache_.add(*mnode_, {.mtime_ns = 20, .ctime_ns = 20, .stamp = 2});
  for (int folded = 0; folded < 2; ++folded) {
    EXPECT_EQ(all().nlink, 3);
    EXPECT_EQ(all().mtime_ns, 20);
    EXPECT_EQ(all().ctime_ns, 40);
    EXPECT_EQ(all().stamp, 4u);
    if (folded == 0) {
      EXPECT_EQ(cache_.read_answer(*mnode_).ctime_ns, 30);
      EXPECT_EQ(cache_.read_answer(*mnode_).nlink, 3);
      EXPECT_EQ(cache_.read_answer(*mnode_).mode, S_IFREG | 0644u);
      EXPECT_EQ(cache_.read_data(*mnode_).nlink, 1) << "links are not looked at";
      EXPECT_EQ(cache_.read_data(*mnode_).mtime_ns, 20);
      EXPECT_EQ(cache_.read_data(*mnode_).ctime_ns, 20);
      EXPECT_EQ(cache_.read_links(*mnode_).nlink, 3);
      EXPECT_EQ(cache_.read_links(*mnode_).mtime_ns, 0) << "times are not looked at";
      EXPECT_EQ(cache_.read_links(*mnode_).stamp, 3u);
    }
    cache_.flush_all();
  }
  for (int word = 0; word < 2; ++word) {
    EXPECT_EQ(mnode_->delta_cores[word].load(relaxed), 0u);
    EXPECT_EQ(mnode_->link_cores[word].load(relaxed), 0u);
    EXPECT_EQ(mnode_->touch_cores[word].load(relaxed), 0u);
  }
}

// Each kind of change leaves the ways of the others alone, and a directory's counts stand together.
TEST_F(DeltaCacheTest, KindsOfChangesHaveWaysOfTheirOwn) {
  cache_.add(*mnode_, {.nlink = 1, .ctime_ns = 30, .stamp = 3});
  on(1);
  cache_.add(*mnode_, {.mtime_ns = 20, .ctime_ns = 20, .stamp = 2});
  on(2);
  cache_.add(*mnode_, {.ctime_ns = 40, .stamp = 4});
  EXPECT_EQ(mnode_->link_cores[0].load(relaxed), 1u);
  EXPECT_EQ(mnode_->delta_cores[0].load(relaxed), 2u);
  EXPECT_EQ(mnode_->touch_cores[0].load(relaxed), 4u);
  MnodeInit init;
  init.attr.mnode = MnodeNo(78);
  init.attr.mode = S_IFDIR | 0755;
  init.attr.nlink = 2;
  Mnode directory(init);
  cache_.add(directory, {.nlink = 1, .entries = 1, .mtime_ns = 20, .ctime_ns = 20, .stamp = 2});
  on(0);
  cache_.add(directory, {.nlink = -2, .ctime_ns = 30, .stamp = 3});
  EXPECT_EQ(directory.link_cores[0].load(relaxed), 0u);
  EXPECT_EQ(cache_.read_data(directory).nlink, 1);
  EXPECT_EQ(cache_.read_data(directory).entries, 1);
  cache_.forget(directory);
}

// The last name goes on one core and a fold finds it, whatever stands in the ways of other kinds.
TEST_F(DeltaCacheTest, AnObjectWithoutLinksAndLookupsIsReviewed) {
  cache_.add_lookups(*mnode_, -1);
  cache_.add(*mnode_, {.mtime_ns = 20, .ctime_ns = 20, .stamp = 2});
  on(1);
  cache_.add(*mnode_, {.nlink = 1, .ctime_ns = 30, .stamp = 3});
  on(2);
  cache_.add(*mnode_, {.nlink = -2, .ctime_ns = 40, .stamp = 4});
  EXPECT_EQ(all().nlink, 0);
  cache_.flush(0);
  EXPECT_EQ(cache_.take_review(), nullptr) << "its base has a link";
  cache_.flush(2);
  cache_.flush(1);
  EXPECT_EQ(cache_.take_review(), mnode_.get());
}

TEST_F(DeltaCacheTest, AnExplicitMtimeBeginsAnAgeInEveryWay) {
  cache_.add(*mnode_, {.mtime_ns = 50, .ctime_ns = 50, .stamp = 5});
  on(1);
  cache_.add(*mnode_, {.mtime_ns = 60, .ctime_ns = 60, .stamp = 6});
  {
    AttrWrite write(*mnode_);
    mnode_->base_mtime_ns.store(15, release);
    mnode_->mtime_set_stamp.store(7, release);
  }
  EXPECT_EQ(all().mtime_ns, 15);
  // Late, but older: it does not count. Younger ones do, whatever the way held before.
  cache_.add(*mnode_, {.mtime_ns = 70, .ctime_ns = 70, .stamp = 6});
  EXPECT_EQ(all().mtime_ns, 15);
  on(0);
  cache_.add(*mnode_, {.mtime_ns = 30, .ctime_ns = 30, .stamp = 8});
  EXPECT_EQ(all().mtime_ns, 30);
  cache_.flush_all();
  EXPECT_EQ(all().mtime_ns, 30);
  EXPECT_EQ(all().ctime_ns, 70);
}

TEST_F(DeltaCacheTest, AccessTimesAreALatestOfAllCores) {
  cache_.set_atime(*mnode_, 100, false);
  on(1);
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 200, 1000)) << "another core's is not looked at";
  cache_.set_atime(*mnode_, 90, false);
  EXPECT_TRUE(cache_.atime_stands(*mnode_, 200, 1000));
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 200, 100)) << "100 ns old, by another core";
  EXPECT_TRUE(cache_.atime_stands(*mnode_, 90, 0));
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 91, 0));
  on(0);
  cache_.add(*mnode_, {.mtime_ns = 95, .ctime_ns = 95, .stamp = 3});
  on(1);
  EXPECT_TRUE(cache_.atime_stands(*mnode_, 200, 1000)) << "100 is newer than 95";
  on(0);
  cache_.add(*mnode_, {.ctime_ns = 150, .stamp = 4});
  on(1);
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 200, 1000)) << "another core changed it since";
  on(3);
  cache_.set_atime(*mnode_, 160, false);
  EXPECT_TRUE(cache_.atime_stands(*mnode_, 200, 1000));
  cache_.add(*mnode_, {.nlink = 1, .ctime_ns = 170, .stamp = 4});
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 200, 1000)) << "this core gave it a name since";
  cache_.set_atime(*mnode_, 180, false);
  EXPECT_TRUE(cache_.atime_stands(*mnode_, 200, 1000));
  cache_.add(*mnode_, {.ctime_ns = 190, .stamp = 4});
  EXPECT_FALSE(cache_.atime_stands(*mnode_, 200, 1000)) << "this core renamed it since";
  EXPECT_EQ(all().atime_ns, 180);
  cache_.flush(0);
  EXPECT_EQ(all().atime_ns, 180) << "folding one way does not show the other";
  cache_.clear_atimes(*mnode_);
  cache_.flush_all();
  EXPECT_EQ(all().atime_ns, 100);
  // Set to the future, it ends with the next reading.
  {
    AttrWrite write(*mnode_);
    mnode_->base_atime_ns.store(1000, release);
    mnode_->atime_ahead.store(true, release);
  }
  EXPECT_EQ(all().atime_ns, 1000);
  cache_.set_atime(*mnode_, 200, false);
  on(2);
  cache_.set_atime(*mnode_, 201, false);
  EXPECT_EQ(all().atime_ns, 201);
  cache_.flush_all();
  EXPECT_EQ(all().atime_ns, 201);
}

TEST_F(DeltaCacheTest, NotesReachTheListsOnceHoweverManyCoresMakeThem) {
  for (uint32_t core = 0; core < kCores; ++core) {
    on(core);
    cache_.note(*mnode_, DeltaCache::kDirty | DeltaCache::kCached);
    cache_.note(*mnode_, DeltaCache::kDirty);
  }
  EXPECT_EQ(listed(lists_.dirty), 0);
  cache_.collect_notes();
  EXPECT_EQ(listed(lists_.dirty), 1);
  EXPECT_EQ(listed(lists_.cached), 1);
  cache_.collect_notes();
  EXPECT_EQ(listed(lists_.dirty), 0) << "taken before";
  // A way that is folded takes its notes along.
  cache_.note(*mnode_, DeltaCache::kDirty);
  cache_.flush_all();
  EXPECT_EQ(listed(lists_.dirty), 1);
}

TEST_F(DeltaCacheTest, TimesStayNotedUntilTheyAreTaken) {
  EXPECT_FALSE(cache_.has_times(*mnode_));
  cache_.set_atime(*mnode_, 100, true);
  on(1);
  cache_.set_atime(*mnode_, 101, true);
  cache_.collect_notes();
  EXPECT_EQ(listed(lists_.dirty), 1);
  EXPECT_TRUE(cache_.has_times(*mnode_));
  cache_.flush(1);  // one in the object, one in a way
  EXPECT_TRUE(cache_.has_times(*mnode_));
  EXPECT_TRUE(cache_.take_times(*mnode_));
  EXPECT_FALSE(cache_.has_times(*mnode_));
  EXPECT_FALSE(cache_.take_times(*mnode_));
}

// Another one's deltas go to its base, until the way is due to somebody else.
TEST_F(DeltaCacheTest, AWayStaysWithAnObjectThatIsUsedOften) {
  MnodeInit init;
  init.attr.mode = S_IFREG | 0644;
  init.attr.nlink = 2;
  init.attr.atime_ns = init.attr.mtime_ns = init.attr.ctime_ns = 10;
  init.lookups = 1;
  init.attr.mnode = mnode_->number;
  do {
    ++init.attr.mnode.v;
  } while (way_index(Mnode(init)) != way_index(*mnode_));
  Mnode other(init);
  constexpr int kUses = 50;
  const auto use = [&] {
    for (int i = 0; i < kUses; ++i) {
      cache_.add(*mnode_, {.entries = 1, .stamp = 1});
      cache_.add(*mnode_, {.nlink = 1, .stamp = 1});
      cache_.add(*mnode_, {.ctime_ns = 20, .stamp = 1});
      cache_.add_lookups(*mnode_, 1);
    }
  };
  use();
  cache_.add(other, {.entries = 2, .mtime_ns = 30, .ctime_ns = 30, .stamp = 3});
  cache_.add(other, {.nlink = -1, .ctime_ns = 35, .stamp = 3});
  cache_.add(other, {.ctime_ns = 40, .stamp = 4});
  cache_.set_atime(other, 50, true);
  cache_.note(other, DeltaCache::kDirty);
  cache_.add_lookups(other, 2);
  EXPECT_EQ(other.delta_cores[0].load(relaxed) | other.link_cores[0].load(relaxed) |
                other.touch_cores[0].load(relaxed),
            0u);
  EXPECT_EQ(other.base_lookups, 3);
  const MetaSums sums = cache_.read(other);
  EXPECT_EQ(sums.nlink, 1);
  EXPECT_EQ(sums.entries, 2);
  EXPECT_EQ(sums.atime_ns, 50);
  EXPECT_EQ(sums.mtime_ns, 30);
  EXPECT_EQ(sums.ctime_ns, 40);
  EXPECT_EQ(sums.stamp, 4u);
  EXPECT_TRUE(cache_.has_times(other));
  EXPECT_EQ(listed(lists_.dirty), 1);
  EXPECT_EQ(mnode_->base_entries.load(relaxed), 0) << "folded, though it is used all the time";
  EXPECT_EQ(mnode_->base_nlink.load(relaxed), 1);
  EXPECT_EQ(mnode_->base_lookups, 1);
  EXPECT_EQ(all().entries, kUses);
  EXPECT_EQ(all().nlink, 1 + kUses);
  // Not for ever.
  for (int i = 0; i < kUses; ++i) cache_.add(other, {.entries = 1, .stamp = 5});
  EXPECT_EQ(mnode_->base_entries.load(relaxed), kUses);
  EXPECT_EQ(cache_.read(other).entries, 2 + kUses);
  // The last links and lookups are found in a base as they are after a fold.
  use();
  other.base_lookups = 0;
  cache_.add(other, {.nlink = -1, .ctime_ns = 60, .stamp = 6});
  cache_.flush_all();
  EXPECT_EQ(cache_.take_review(), &other);
  cache_.forget(other);
  lists_.dirty.remove(other.dirty_link);
}

TEST_F(DeltaCacheTest, CountsOutgrowAWay) {
  constexpr int64_t kMany = int64_t{1} << 30;
  for (int i = 0; i < 5; ++i) cache_.add(*mnode_, {.entries = kMany, .stamp = 1});
  EXPECT_EQ(all().entries, 5 * kMany);
  for (int i = 0; i < 5; ++i) cache_.add(*mnode_, {.entries = -kMany, .stamp = 1});
  EXPECT_EQ(all().entries, 0);
}

}  // namespace
}  // namespace scalefs::memfs
