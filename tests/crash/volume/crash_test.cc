// Power cuts: histories on a recording device, cut after every event, with all, none and random parts
// of the unflushed writes on the medium; recovered; compared with what the durability contract allows;
// checked; recovered once more; used. Two canaries show that broken promises are found: a device whose
// flushes do nothing, and an fsync that returns without a commit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "diskfs/crash_image.h"
#include "diskfs/fault_device.h"
#include "diskfs/recording_device.h"
#include "tests/crash/explorer/judge.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

enum class Canary { none, flush_left_out, fsync_without_commit };

struct Recorded {
  std::unique_ptr<diskfs::MemoryDevice> start;
  std::unique_ptr<diskfs::MemoryDevice> medium;
  std::unique_ptr<diskfs::RecordingDevice> recording;
  CrashOracle oracle;
};

volume::VolumeOptions options_of(Random& random) {
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 4u << 20;
  if (random.percent(30)) options.inline_bytes_max = 0;
  return options;
}

void run_steps(volume::Volume& volume, Random& random) {
  if (random.percent(15)) volume.step_writeback();
  if (random.percent(15)) volume.step_commit();
  if (random.percent(10)) volume.step_checkpoint();
  if (random.percent(10)) volume.step_maintenance();
}

void record_history(uint64_t seed, uint64_t calls, Canary canary, Recorded* recorded) {
  recorded->start = formatted_device(16u << 20);
  recorded->medium = recorded->start->clone();
  recorded->recording = std::make_unique<diskfs::RecordingDevice>(*recorded->medium);
  diskfs::FaultDevice device(*recorded->recording);
  device.lose_flushes(canary == Canary::flush_left_out);
  Random random(seed ^ 0xc4a5);
  std::string why;
  auto volume = volume::Volume::mount(device, options_of(random), &why);
  ASSERT_TRUE(volume.ok()) << why;

  HistoryOptions options;
  options.seed = seed;
  options.file_bytes_max = 30'000;
  options.objects_max = 25;
  options.on_durable = [&](ModelId id) { recorded->oracle.durable(id); };
  options.on_rename_over = [&](ModelId id) { recorded->oracle.renamed_over(id); };
  History history(options, **volume);
  // The empty volume is the state before the first call; mkfs made it durable.
  recorded->oracle.durable(0);
  recorded->oracle.observe(history, 0, recorded->recording->event_count());
  for (uint64_t i = 0; i < calls; i++) {
    uint64_t before = recorded->recording->event_count();
    if (!history.step()) return;
    if (canary == Canary::fsync_without_commit && i % 10 == 9) recorded->oracle.durable(0);
    recorded->oracle.observe(history, before, recorded->recording->event_count());
    run_steps(**volume, random);
  }
  (*volume)->shutdown();
}

// The first state that the oracle does not accept, described; empty when there is none.
std::string crash_everywhere(uint64_t seed, uint64_t calls, uint64_t subsets, Canary canary,
                             uint64_t* states) {
  Recorded recorded;
  record_history(seed, calls, canary, &recorded);
  if (::testing::Test::HasFailure()) return "the history itself went wrong";
  Random random(seed);
  diskfs::CrashImages images(*recorded.start, *recorded.recording);
  uint64_t events = recorded.recording->event_count();
  for (uint64_t cut = 0; cut <= events; cut++) {
    images.advance(cut);
    uint64_t kinds = images.undecided().empty() ? 1 : 1 + subsets;
    for (uint64_t kind = 0; kind < kinds; kind++) {
      uint64_t choice = random.next();
      auto keep = kind == 0   ? diskfs::CrashImages::keep_all()
                  : kind == 1 ? diskfs::CrashImages::keep_none()
                              : diskfs::CrashImages::keep_random(choice);
      auto image = images.build(keep);
      std::string wrong = judge(*image, recorded.oracle, cut, true);
      ++*states;
      if (!wrong.empty()) {
        return fmt::format("cut after event {} of {}, choice {} {}: {}", cut, events, kind, choice,
                           wrong);
      }
    }
  }
  return "";
}

void expect_sound(uint64_t seed, uint64_t* states) {
  SCOPED_TRACE(fmt::format("reproduce: SCALEFS_SEED={} crash_volume --gtest_filter='*Crash*'", seed));
  EXPECT_EQ(crash_everywhere(seed, 50, 2, Canary::none, states), "");
}

// The canary must be found in one of some histories.
void expect_found(Canary canary) {
  uint64_t states = 0;
  for (uint64_t seed = 0; seed < 10; seed++) {
    if (!crash_everywhere(seed, 50, 2, canary, &states).empty()) return;
  }
  ADD_FAILURE() << "not found in " << states << " states";
}

constexpr uint64_t kHistories = 200;
constexpr uint64_t kGroups = 10;

class Crash : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Crash, EveryWriteOfRandomHistories) {
  uint64_t seed = 0;
  uint64_t states = 0;
  if (seed_given(&seed)) {
    expect_sound(seed, &states);
    return;
  }
  uint64_t histories = count_from("SCALEFS_CRASH_HISTORIES", kHistories) / kGroups;
  for (uint64_t i = 0; i < histories && !HasFailure(); i++) {
    uint64_t index = GetParam() * histories + i;
    expect_sound(index % 2 ? commit_seed(index) : index, &states);
  }
  fmt::print("{} crash states\n", states);
  RecordProperty("crash_states", static_cast<int>(states));
}

TEST(CrashCanary, FlushLeftOut) { expect_found(Canary::flush_left_out); }
TEST(CrashCanary, FsyncWithoutCommit) { expect_found(Canary::fsync_without_commit); }

INSTANTIATE_TEST_SUITE_P(Groups, Crash, ::testing::Range<uint64_t>(0, kGroups));

}  // namespace
}  // namespace scalefs::testing
