// Every byte of a full volume, damaged one at a time: mounting it, reading all of it and checking it
// must end, and whatever a call answers must be right or an error.
//
// A turn mounts the volume as the daemon does, asks for every name, attribute and page, reads its data as
// fsck.scalefs --data does, and checks what was there before the mount; some turns repair that. A mount may be refused; then it is
// mounted for reading only, which shows the state behind one of the batches. Damage of the last batch looks
// like a write that a power cut interrupted, and shows the state before it. A turn ends after a counted
// number of operations of the device.
//
//   SCALEFS_DAMAGE_BYTES=n            draws n bytes (20,000), from the seed of the commit
//   SCALEFS_DAMAGE_BYTES=all          every byte once, in order; tells how far it is
//   SCALEFS_DAMAGE_FROM=a SCALEFS_DAMAGE_TO=b   with it: of bytes a to b - 1 only, to go on or to share
//   SCALEFS_SEED=n                    another draw, and other masks
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>

#include "base/log.h"
#include "base/random.h"
#include "diskfs/check/repair.h"
#include "diskfs/check/scrub.h"
#include "tests/support/damaged_device.h"
#include "tests/support/full_volume.h"
#include "tests/support/seeds.h"
#include "volume/volume.h"

namespace scalefs::testing {
namespace {

constexpr uint64_t kDrawn = 20'000;
// Of the turns in which the checker finds an error, one in so many is repaired.
constexpr uint64_t kRepairOneIn = 16;
// A turn on a sound volume needs some hundred operations.
constexpr uint64_t kOperationsMax = 20'000;

struct Tally {
  uint64_t tried = 0, in_use = 0;
  uint64_t whole = 0;    // everything was right
  uint64_t errors = 0;   // some calls answered an error
  uint64_t before = 0;   // the state before the last batch was shown
  uint64_t refused = 0;  // the volume was not mounted
  uint64_t found = 0, repaired = 0, not_repaired = 0;
};

class ByteDamage : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_log_level(LogLevel::error);
    volume_ = new FullVolume(make_full_volume());
  }
  static void TearDownTestSuite() {
    delete volume_;
    volume_ = nullptr;
    set_log_level(LogLevel::info);
  }
  void SetUp() override {
    seed_ = commit_seed(400);
    seed_given(&seed_);
    device_.set_operations_max(kOperationsMax);
  }
  void TearDown() override {
    if (tally_.tried == 0) return;
    const double seconds = static_cast<double>(clock() - started_) / CLOCKS_PER_SEC;
    fmt::print(
        "{} bytes tried, {} of them in use, in {:.1f} s: {} whole, {} with errors, {} before the last "
        "batch, {} refused; {} found by the checker, {} repaired, {} not (SCALEFS_SEED={})\n",
        tally_.tried, tally_.in_use, seconds, tally_.whole, tally_.errors, tally_.before,
        tally_.refused, tally_.found, tally_.repaired, tally_.not_repaired, seed_);
    EXPECT_GE(tally_.in_use * 2, tally_.tried) << "most of the bytes mean nothing";
  }

  void damage(uint64_t offset) {
    const auto mask = static_cast<std::byte>(
        1 + siphash24(HashKey{seed_, 0x6d61736b}, std::to_string(offset)) % 255);
    SCOPED_TRACE(fmt::format(
        "byte {} (block {}, byte {}) with mask {:02x}; SCALEFS_SEED={} SCALEFS_DAMAGE_BYTES=all "
        "SCALEFS_DAMAGE_FROM={} SCALEFS_DAMAGE_TO={}",
        offset, offset / kBlockBytes, offset % kBlockBytes, mask, seed_, offset, offset + 1));
    ++tally_.tried;
    tally_.in_use += volume_->in_use[offset];
    device_.flip(offset, mask);
    mount(offset);
    check(offset);
    device_.flip(offset, mask);
  }
  const FullVolume& volume() const { return *volume_; }
  uint64_t seed() const { return seed_; }
  const Tally& tally() const { return tally_; }
  DamagedDevice& device() { return device_; }
  static volume::VolumeOptions options(bool read_only) {
    volume::VolumeOptions options;
    options.threads = false;
    options.noatime = true;
    options.read_only = read_only;
    options.cache_bytes = 4u << 20;
    return options;
  }

 private:
  void ended(const char* doing) {
    EXPECT_FALSE(device_.exceeded()) << doing << " did not end";
    device_.reset();
  }
  void mount(uint64_t offset);
  void mount_refused(const std::string& why);
  void check(uint64_t offset);
  void repair();

  static FullVolume* volume_;
  DamagedDevice device_{volume_->bytes};
  uint64_t seed_ = 0;
  bool bad_data_ = false;  // of this turn
  Tally tally_;
  const clock_t started_ = clock();
};

FullVolume* ByteDamage::volume_ = nullptr;

void ByteDamage::mount(uint64_t offset) {
  std::string why;
  bad_data_ = false;
  {
    auto mounted = volume::Volume::mount(device_, options(false), &why);
    if (mounted.ok()) {
      ContentAnswer answer = compare_content((*mounted)->fs(), volume_->states.back());
      if (!answer.wrong.empty() && volume_->last_batch[offset]) {
        answer = compare_content((*mounted)->fs(), volume_->states[volume_->states.size() - 2]);
        ++tally_.before;
      } else {
        ++(answer.errors == 0 ? tally_.whole : tally_.errors);
      }
      EXPECT_EQ(answer.wrong, "");
      (*mounted)->shutdown();
      mounted->reset();
      // The mount has brought the batches into the tree.
      const auto data = diskfs::scrub_volume(device_, {}, &why);
      EXPECT_TRUE(data.ok()) << why;
      bad_data_ = data.ok() && data->bad_blocks > 0;
      return ended("the mount and reading data");
    }
    EXPECT_TRUE(mounted.code() == EUCLEAN || mounted.code() == EIO) << mounted.code();
  }
  ended("the mount");
  ++tally_.refused;
  mount_refused(why);
}

// What may not be written to may still be read.
void ByteDamage::mount_refused(const std::string& why) {
  EXPECT_NE(why, "");
  std::string reason;
  auto mounted = volume::Volume::mount(device_, options(true), &reason);
  if (mounted.ok()) {
    std::string wrong = "no state";
    for (const ContentNode& state : volume_->states) {
      if (!wrong.empty()) wrong = compare_content((*mounted)->fs(), state).wrong;
    }
    EXPECT_EQ(wrong, "");
    (*mounted)->shutdown();
    mounted->reset();
  } else {
    EXPECT_NE(reason, "");
  }
  ended("the mount for reading");
}

void ByteDamage::check(uint64_t offset) {
  std::string why;
  const auto report = diskfs::check_volume(device_, &why);
  ended("the check");
  ASSERT_TRUE(report.ok()) << why;
  if (!report->findings.clean() && ++tally_.found % kRepairOneIn == 0) repair();
  const bool found = bad_data_ || !report->findings.list().empty();
  EXPECT_TRUE(found || !volume_->found_always[offset]) << "the checker finds nothing";
}

void ByteDamage::repair() {
  std::string why;
  const auto repaired = diskfs::repair_volume(device_, {}, &why);
  if (!repaired.ok()) {
    EXPECT_NE(why, "");
    ++tally_.not_repaired;
    return ended("the repair");
  }
  EXPECT_TRUE(repaired->repaired);
  const auto again = diskfs::check_volume(device_, &why);
  EXPECT_TRUE(again.ok() && again->findings.clean()) << why;
  ++tally_.repaired;
  ended("the repair");
}

// Else no answer would ever be wrong.
TEST_F(ByteDamage, AnotherStateIsSeen) {
  std::string why;
  const auto mounted = volume::Volume::mount(device(), options(false), &why);
  ASSERT_TRUE(mounted.ok()) << why;
  for (const ContentNode& state : volume().states) {
    const ContentAnswer answer = compare_content((*mounted)->fs(), state);
    EXPECT_EQ(answer.wrong.empty(), &state == &volume().states.back());
    EXPECT_EQ(answer.errors, 0u);
    EXPECT_GT(answer.answers, 300u);
  }
  (*mounted)->shutdown();
}

TEST_F(ByteDamage, AnyByte) {
  const char* text = std::getenv("SCALEFS_DAMAGE_BYTES");
  if (text != nullptr && std::string_view(text) == "all") {
    const uint64_t from = count_from("SCALEFS_DAMAGE_FROM", 0);
    const uint64_t to = std::min(count_from("SCALEFS_DAMAGE_TO", UINT64_MAX), volume().bytes.size());
    for (uint64_t offset = from; offset < to && !HasFailure(); ++offset) {
      damage(offset);
      if ((offset + 1) % 16384 != 0) continue;
      fmt::print("up to byte {} of {}: {} tried, {} in use\n", offset + 1, to, tally().tried,
                 tally().in_use);
      std::fflush(stdout);
    }
    return;
  }
  Random random(seed());
  const uint64_t count = count_from("SCALEFS_DAMAGE_BYTES", kDrawn);
  for (uint64_t i = 0; i < count && !HasFailure(); ++i) damage(random.below(volume().bytes.size()));
}

TEST_F(ByteDamage, EveryByteOfHeaders) {
  for (uint64_t offset = 0; offset < volume().bytes.size() && !HasFailure(); ++offset) {
    if (volume().header[offset]) damage(offset);
  }
  EXPECT_GT(tally().tried, 4000u);
}

}  // namespace
}  // namespace scalefs::testing
