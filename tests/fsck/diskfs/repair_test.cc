// Repair: every kind of damage, made in a named field, is repaired, and nothing else is touched.
#include "diskfs/check/repair.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/aligned_buffer.h"
#include "diskfs/crash_image.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/support/image_programs.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"
#include "tests/support/repair_damages.h"
#include "tests/support/volume_snapshot.h"

namespace scalefs::diskfs {
namespace {

using testing::RepairDamage;
using testing::repair_damages;
using testing::RepairSample;
using testing::take_snapshot;
using testing::VolumeSnapshot;

std::string texts_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings.list()) {
    text += fmt::format("  {}: {}\n", code_name(finding.code), finding.text);
  }
  return text;
}

// Everything but what the damage touches is as it was, and nothing is new but in lost+found.
void expect_untouched(const VolumeSnapshot& before, const VolumeSnapshot& after,
                      const RepairDamage& damage) {
  const auto touched = [&](const std::string& path) {
    for (const std::string& prefix : damage.touches) {
      if ("=" + path == prefix) return true;
      if (path == prefix || path.starts_with(prefix + "/") || prefix == "*") return true;
    }
    return false;
  };
  for (const auto& [path, line] : before) {
    if (touched(path)) continue;
    const auto found = after.find(path);
    ASSERT_NE(found, after.end()) << path << " is gone";
    EXPECT_EQ(found->second, line) << path;
  }
  for (const auto& [path, line] : after) {
    const bool may = before.count(path) != 0 || path.starts_with("/lost+found") || touched(path);
    EXPECT_TRUE(may) << path << " is new";
  }
}

void expect_clean(BlockDevice& device) {
  std::string why;
  auto report = check_volume(device, &why);
  ASSERT_TRUE(report.ok()) << why;
  EXPECT_TRUE(report->findings.list().empty()) << texts_of(report->findings);
}

// A mount of the volume takes a new file and has it after the next one.
void expect_usable(MemoryDevice& device) {
  std::string why;
  auto fs = DiskFs::mount(device, {}, &why);
  ASSERT_TRUE(fs.ok()) << why;
  auto ino = (*fs)->allocate_ino();
  ASSERT_TRUE(ino.ok());
  auto root = (*fs)->pin().reader().inode(kRootIno);
  ASSERT_TRUE(root.ok());
  Batch batch;
  InodeItem item;
  item.mode = S_IFREG | 0644;
  item.nlink = 1;
  item.mnode = MnodeNo(uint64_t{900'000} << 10 | 9);
  batch.set_mnode_mark(9, 900'001);
  batch.put_inode(*ino, item);
  batch.put_dirent(kRootIno, siphash24((*fs)->info().hash_key, "after"), "after",
                   {*ino, item.mnode, 8});
  ASSERT_TRUE((*fs)->commit(batch).ok());
  ASSERT_TRUE((*fs)->unmount().ok());
  expect_clean(device);
}

class RepairTest : public ::testing::TestWithParam<size_t> {
 protected:
  const RepairDamage& damage() const { return repair_damages()[GetParam()]; }
};

TEST_P(RepairTest, LeavesAllThatIsNotDamaged) {
  RepairSample sample;
  const VolumeSnapshot before = take_snapshot(sample.device);
  damage().make(sample);
  std::string why;
  auto found = check_volume(sample.device, &why);
  ASSERT_TRUE(found.ok()) << why;
  ASSERT_FALSE(found->findings.clean()) << "the damage is none";
  auto repaired = repair_volume(sample.device, {}, &why);
  if (damage().refused) {
    EXPECT_FALSE(repaired.ok());
    EXPECT_NE(why, "");
    return;
  }
  ASSERT_TRUE(repaired.ok()) << why;
  SCOPED_TRACE("done:\n" + texts_of(repaired->log.done) + "lost:\n" + texts_of(repaired->log.lost));
  ASSERT_TRUE(repaired->repaired) << texts_of(repaired->left);
  EXPECT_EQ(repaired->log.lost.errors() > 0, damage().loses);
  expect_clean(sample.device);
  expect_untouched(before, take_snapshot(sample.device), damage());
  expect_usable(sample.device);
}

// After each write of the repair the device stops; what is there then is repaired again.
TEST_P(RepairTest, MayBeInterruptedAtEveryWrite) {
  RepairSample sample;
  const VolumeSnapshot before = take_snapshot(sample.device);
  damage().make(sample);
  if (damage().refused) return;
  auto whole = sample.device.clone();
  uint64_t writes = 0;
  {
    FaultDevice count(*whole);
    std::string why;
    ASSERT_TRUE(repair_volume(count, {}, &why).ok()) << why;
    writes = count.calls(FaultDevice::Call::write);
  }
  ASSERT_GT(writes, 1u);
  for (uint64_t nth = 1; nth <= writes; ++nth) {
    SCOPED_TRACE(fmt::format("write {} of {}", nth, writes));
    auto device = sample.device.clone();
    {
      FaultDevice fault(*device);
      fault.set_tear_failed_writes(true);
      fault.fail(FaultDevice::Call::write, nth, EIO, /*later_too=*/true);
      std::string why;
      auto stopped = repair_volume(fault, {}, &why);
      ASSERT_FALSE(stopped.ok());
    }
    std::string why;
    auto again = check_volume(*device, &why);
    ASSERT_TRUE(again.ok()) << why;
    if (!again->findings.clean()) {
      auto repaired = repair_volume(*device, {}, &why);
      ASSERT_TRUE(repaired.ok()) << why;
      ASSERT_TRUE(repaired->repaired) << texts_of(repaired->left);
    }
    auto clean = check_volume(*device, &why);
    ASSERT_TRUE(clean.ok()) << why;
    ASSERT_TRUE(clean->findings.clean()) << texts_of(clean->findings);
    expect_untouched(before, take_snapshot(*device), damage());
    if (::testing::Test::HasFailure()) return;
  }
}

// A power cut leaves any subset of the sectors that were not flushed.
TEST_P(RepairTest, MayBeCutShort) {
  RepairSample sample;
  const VolumeSnapshot before = take_snapshot(sample.device);
  damage().make(sample);
  if (damage().refused) return;
  auto whole = sample.device.clone();
  RecordingDevice recording(*whole);
  std::string why;
  ASSERT_TRUE(repair_volume(recording, {}, &why).ok()) << why;
  CrashImages images(sample.device, recording);
  Random random(GetParam() + 1);
  for (uint64_t cut = 1; cut <= recording.event_count(); ++cut) {
    images.advance(cut);
    for (int percent : {20, 80}) {
      SCOPED_TRACE(fmt::format("cut {} of {}, {} %, seed {}", cut, recording.event_count(), percent,
                               GetParam() + 1));
      auto device =
          images.build([&](uint64_t, uint64_t) { return random.percent(percent); });
      auto found = check_volume(*device, &why);
      ASSERT_TRUE(found.ok()) << why;
      if (!found->findings.clean()) {
        auto repaired = repair_volume(*device, {}, &why);
        ASSERT_TRUE(repaired.ok()) << why;
        ASSERT_TRUE(repaired->repaired) << texts_of(repaired->left);
      }
      expect_untouched(before, take_snapshot(*device), damage());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Damages, RepairTest, ::testing::Range(size_t{0}, repair_damages().size()),
                         [](const auto& param) { return repair_damages()[param.param].name; });

// The reader that was written from FORMAT.md alone takes repaired volumes, and finds all their paths.
TEST(Repair, AnIndependentReaderTakesTheResult) {
  for (const std::string name : {"LeafFlipped", "RootNodeFlipped", "NameOfDirectoryGone",
                                 "NewestSuperblockBeforeAJournal"}) {
    SCOPED_TRACE(name);
    RepairSample sample;
    bool made = false;
    for (const RepairDamage& damage : repair_damages()) {
      if (damage.name != name) continue;
      damage.make(sample);
      made = true;
    }
    ASSERT_TRUE(made);
    std::string why;
    auto repaired = repair_volume(sample.device, {}, &why);
    ASSERT_TRUE(repaired.ok() && repaired->repaired) << why;
    const testing::ImageFile image(sample.device);
    const testing::ProgramResult result = testing::run_reader(SCALEFS_SOURCE_DIR, image);
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(result.lines.size(), take_snapshot(sample.device).size());
  }
}

TEST(Repair, DeclinedLeavesTheVolumeAsItWas) {
  RepairSample sample;
  repair_damages()[0].make(sample);
  std::string why;
  auto before = check_volume(sample.device, &why);
  ASSERT_TRUE(before.ok());
  RepairOptions options;
  options.confirm = [](const RepairLog&) { return false; };
  auto report = repair_volume(sample.device, options, &why);
  ASSERT_TRUE(report.ok()) << why;
  EXPECT_TRUE(report->declined);
  EXPECT_FALSE(report->repaired);
  auto after = check_volume(sample.device, &why);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(texts_of(after->findings), texts_of(before->findings));
}

}  // namespace
}  // namespace scalefs::diskfs
