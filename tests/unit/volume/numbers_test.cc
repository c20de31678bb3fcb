// Inode map, mnode marks and read pins: the small tables of the volume.
#include <gtest/gtest.h>

#include "base/core.h"
#include "volume/inode_map.h"
#include "volume/mnode_marks.h"
#include "volume/read_pins.h"

namespace scalefs::volume {
namespace {

TEST(InodeMap, DroppedEntryStaysUntilACutThatBeganLaterIsCommitted) {
  InodeMap map;
  map.loaded(MnodeNo(1025), Ino(7));
  map.begin_cut();
  map.dropped(MnodeNo(1025));
  map.end_cut();
  EXPECT_EQ(map.find(MnodeNo(1025)).ino, Ino(7));
  map.begin_cut();
  EXPECT_EQ(map.find(MnodeNo(1025)).ino, Ino(7));
  map.end_cut();
  EXPECT_FALSE(map.find(MnodeNo(1025)).ino);
}

TEST(InodeMap, EveryCutTakesWhatWasDroppedSinceTheLast) {
  InodeMap map;
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t number = 1024; number < 1024 + 100; ++number) map.loaded(MnodeNo(number), Ino(number));
    for (uint64_t number = 1024; number < 1024 + 100; number += 1 + round) map.dropped(MnodeNo(number));
    map.begin_cut();
    map.end_cut();
    for (uint64_t number = 1024; number < 1024 + 100; ++number) {
      const bool gone = (number - 1024) % (1 + round) == 0;
      EXPECT_EQ(static_cast<bool>(map.find(MnodeNo(number)).ino), !gone) << number;
      if (!gone) map.dead(MnodeNo(number));
    }
  }
}

TEST(InodeMap, LoadedAgainBeforeItLeavesItStays) {
  InodeMap map;
  map.loaded(MnodeNo(1025), Ino(7));
  map.dropped(MnodeNo(1025));
  map.begin_cut();
  map.loaded(MnodeNo(1025), Ino(7));
  map.end_cut();
  EXPECT_EQ(map.find(MnodeNo(1025)).ino, Ino(7));
}

TEST(InodeMap, LoadThatOvertakesADropKeepsTheEntry) {
  InodeMap map;
  map.loaded(MnodeNo(1025), Ino(7));
  map.loaded(MnodeNo(1025), Ino(7));  // a new load, before the drop of the old mnode is told
  map.dropped(MnodeNo(1025));
  map.begin_cut();
  map.end_cut();
  EXPECT_EQ(map.find(MnodeNo(1025)).ino, Ino(7));
}

TEST(InodeMap, DeathEndsAnEntryAtOnce) {
  InodeMap map;
  map.born(MnodeNo(2048), Ino(9));
  EXPECT_FALSE(map.find(MnodeNo(2048)).in_checkpoint);
  map.seen_in_checkpoint(MnodeNo(2048));
  EXPECT_TRUE(map.find(MnodeNo(2048)).in_checkpoint);
  map.dead(MnodeNo(2048));
  EXPECT_FALSE(map.find(MnodeNo(2048)).ino);
  EXPECT_EQ(map.size(), 0u);
}

TEST(MnodeMarks, StartAtTheDurableMarkAndWantAStrideAhead) {
  MnodeMarks marks({{0, 70000}, {5, 10}}, 2);
  EXPECT_EQ(marks.first(0), 70000u);
  EXPECT_EQ(marks.first(1), 1u);
  const MnodeMarks::Marks pending = marks.pending();
  ASSERT_EQ(pending.size(), 2u) << "slots that are not in use want nothing";
  EXPECT_EQ(pending[0], std::pair(0u, 70000u + MnodeMarks::kStride));
  EXPECT_EQ(pending[1], std::pair(1u, 1u + MnodeMarks::kStride));
  EXPECT_FALSE(marks.grant(0)) << "granted before it is durable";
  marks.committed(pending);
  EXPECT_EQ(marks.grant(0), 70000u + MnodeMarks::kStride);
  EXPECT_FALSE(marks.grant(0));
  EXPECT_TRUE(marks.pending().empty());
}

TEST(MnodeMarks, PendingAreThoseThatNoBatchHasSaid) {
  MnodeMarks marks({}, 3);
  const MnodeMarks::Marks all = marks.pending();
  ASSERT_EQ(all.size(), 3u);
  marks.committed({all[1]});
  EXPECT_EQ(marks.pending(), (MnodeMarks::Marks{all[0], all[2]}));
  marks.committed({all[1]});
  EXPECT_TRUE(marks.want(2));
  EXPECT_TRUE(marks.want(1));
  EXPECT_EQ(marks.pending(), (MnodeMarks::Marks{all[0], {1, 1 + 2 * MnodeMarks::kStride}, all[2]}));
  marks.committed(marks.pending());
  EXPECT_TRUE(marks.pending().empty());
}

TEST(MnodeMarks, UseNearTheMarkWantsMore) {
  MnodeMarks marks({}, 1);
  marks.committed(marks.pending());
  marks.grant(0);
  marks.used(MnodeNo(uint64_t{100} << kCoreBits));
  EXPECT_TRUE(marks.pending().empty());
  marks.used(MnodeNo(uint64_t{MnodeMarks::kStride - 5} << kCoreBits));
  ASSERT_EQ(marks.pending().size(), 1u);
  EXPECT_EQ(marks.pending()[0].second, 1 + 2 * MnodeMarks::kStride);
}

TEST(MnodeMarks, NumbersEnd) {
  const uint64_t last = kMnodeNoLimit >> kCoreBits;
  MnodeMarks marks({{0, last - 3}}, 1);
  marks.committed(marks.pending());
  EXPECT_EQ(marks.grant(0), last);
  EXPECT_FALSE(marks.want(0));
}

class ReadPinsTest : public ::testing::Test {
 protected:
  uint64_t freed_ = 0;
  ReadPins pins_{[this](diskfs::BlockRun run) { freed_ += run.count; }};
};

TEST_F(ReadPinsTest, BlocksAreFreedWhenNoPinOfBeforeIsLeft) {
  auto pin = std::make_unique<ReadPins::Pin>(pins_);
  pins_.retire({{BlockNo(10), 3}});
  EXPECT_TRUE(pins_.step());
  EXPECT_EQ(freed_, 0u);
  EXPECT_EQ(pins_.waiting(), 3u);
  pin.reset();
  EXPECT_FALSE(pins_.step());
  EXPECT_EQ(freed_, 3u);
}

TEST_F(ReadPinsTest, PinsThatBeganLaterDoNotHoldThem) {
  auto before = std::make_unique<ReadPins::Pin>(pins_);
  pins_.retire({{BlockNo(10), 3}});
  pins_.step();
  ReadPins::Pin later(pins_);
  before.reset();
  pins_.step();
  EXPECT_EQ(freed_, 3u);
}

TEST_F(ReadPinsTest, PinOfTwoFlipsAgoHoldsWhatIsRetiredNow) {
  auto first = std::make_unique<ReadPins::Pin>(pins_);
  pins_.retire({{BlockNo(10), 1}});
  pins_.step();  // flips; `first` is of the phase before
  auto second = std::make_unique<ReadPins::Pin>(pins_);
  first.reset();
  pins_.step();
  EXPECT_EQ(freed_, 1u);
  pins_.retire({{BlockNo(20), 1}});
  pins_.step();
  pins_.step();
  pins_.step();
  EXPECT_EQ(freed_, 1u) << "freed under a pin";
  second.reset();
  EXPECT_FALSE(pins_.step());
  EXPECT_EQ(freed_, 2u);
}

TEST_F(ReadPinsTest, WithoutPinsAStepFreesAtOnce) {
  pins_.retire({{BlockNo(10), 1}, {BlockNo(20), 2}});
  EXPECT_FALSE(pins_.step());
  EXPECT_EQ(freed_, 3u);
}

}  // namespace
}  // namespace scalefs::volume
