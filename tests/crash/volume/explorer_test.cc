// Scripts of one, two, three and four calls, each with and without an fsync or sync behind it, cut
// everywhere (tests/crash/explorer). SCALEFS_CRASH_SCRIPT="rename /f /d/g; fsync /d" runs one script,
// SCALEFS_CRASH_STATES=1000000 goes on until so many distinct states were tried.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/crash/explorer/explorer.h"
#include "tests/support/seeds.h"

namespace scalefs::testing {
namespace {

ExplorerOptions options_of_run() {
  ExplorerOptions options;
  uint64_t seed = 0;
  options.seed = seed_given(&seed) ? seed : commit_seed(0);
  return options;
}

// Explores scripts from `next` until it gives none, or until the wanted number of states.
void explore_all(const std::function<std::string(uint64_t)>& next, uint64_t states_wanted) {
  ExplorerOptions options = options_of_run();
  Explorer explorer(options);
  const char* given = std::getenv("SCALEFS_CRASH_SCRIPT");
  uint64_t scripts = 0;
  for (; explorer.distinct() < states_wanted; scripts++) {
    std::string script = given ? (scripts ? "" : given) : next(scripts);
    if (script.empty()) break;
    SCOPED_TRACE(fmt::format("reproduce: SCALEFS_SEED={} SCALEFS_CRASH_SCRIPT='{}' crash_volume "
                             "--gtest_filter='CrashExplorer.One'", options.seed, script));
    std::string wrong = explorer.explore(script);
    ASSERT_EQ(wrong, "");
  }
  fmt::print("{} scripts, {} states judged, {} distinct\n", scripts, explorer.judged(),
             explorer.distinct());
  ::testing::Test::RecordProperty("crash_states", static_cast<int>(explorer.distinct()));
}

// One script in `step` of the list, another each commit; 1: all of them.
void explore_list(const std::vector<std::string>& scripts, uint64_t step) {
  uint64_t from = step > 1 ? commit_seed(step) % step : 0;
  explore_all(
      [&](uint64_t i) {
        uint64_t at = from + i * step;
        return at < scripts.size() ? scripts[at] : std::string();
      },
      UINT64_MAX);
}

// Part of a CI run; everything of a long one.
uint64_t step_of(uint64_t in_ci) {
  if (std::getenv("SCALEFS_CRASH_STATES")) return 1;
  return kSanitized ? in_ci * 8 : in_ci;
}

TEST(CrashExplorer, One) { explore_list(crash_scripts_of_one(), step_of(1)); }

TEST(CrashExplorer, Two) {
  auto one = crash_scripts_of_one();
  std::vector<std::string> two;
  for (const auto& first : one) {
    for (const auto& second : one) two.push_back(first + "; " + second);
  }
  explore_list(two, step_of(61));
}

TEST(CrashExplorer, ThreeAndFour) {
  auto one = crash_scripts_of_one();
  uint64_t states = count_from("SCALEFS_CRASH_STATES", kSanitized ? 500 : 8'000);
  uint64_t seed = options_of_run().seed;
  explore_all(
      [&](uint64_t i) {
        Random random(seed + i);
        std::string script = one[random.below(one.size())];
        for (uint64_t calls = 2 + random.below(2); calls > 0; calls--) {
          if (random.percent(25)) script += fmt::format("; core {}", random.below(4));
          if (random.percent(15)) script += "; writeback";
          if (random.percent(15)) script += "; commit";
          if (random.percent(10)) script += "; checkpoint";
          script += "; " + one[random.below(one.size())];
        }
        return script;
      },
      states);
}

TEST(CrashExplorer, RenamesOfDirectories) {
  explore_list(crash_scripts_of_directories(), step_of(7));
}

// A file made longer by a truncation ends in a page to which no write has extended it.
TEST(CrashExplorer, TruncationOverAPageThatTheLogHasNot) {
  for (const char* script :
       {"create /n; truncate /n 5000; sync; write /n 4200 100; truncate /n 20000; commit",
        "create /n; write /n 0 5000; sync; write /n 4200 100; truncate /n 20000; commit"})
    EXPECT_EQ(Explorer({}).explore(script), "") << script;
}

// --- canaries

void expect_found(CrashCanary canary) {
  ExplorerOptions options;
  options.canary = canary;
  Explorer explorer(options);
  for (const auto& script : crash_scripts_of_one()) {
    std::string wrong = explorer.explore(script);
    if (!wrong.empty()) {
      fmt::print("{}: {:.200}\n", script, wrong);
      // It is the canary that is found: the same script is sound without it.
      options.canary = CrashCanary::none;
      EXPECT_EQ(Explorer(options).explore(script), "");
      return;
    }
  }
  ADD_FAILURE() << "not found in " << explorer.judged() << " states";
}

TEST(CrashExplorerCanary, FlushLeftOut) { expect_found(CrashCanary::flush_left_out); }
TEST(CrashExplorerCanary, FsyncWithoutCommit) { expect_found(CrashCanary::fsync_without_commit); }
TEST(CrashExplorerCanary, RenameInTwo) { expect_found(CrashCanary::rename_in_two); }
TEST(CrashExplorerCanary, SizeBeforeData) { expect_found(CrashCanary::size_before_data); }

// A medium that loses one write, though it was flushed, loses what fsync had promised.
TEST(CrashExplorerCanary, EachSingleFlushedWriteLost) {
  uint64_t writes = 0;
  for (const char* script : {"create /n; fsync /n", "write /f 100 6000; fsync /f", "rename /f /d/g; fsync /d",
                             "write /f 0 100000; fsync /f", "unlink /f; commit; rmdir /e; sync"}) {
    Explorer::Lost lost = Explorer({}).lose_each_write(script);
    EXPECT_GT(lost.writes, 0u) << script;
    EXPECT_EQ(lost.found, lost.writes) << script;
    writes += lost.writes;
  }
  fmt::print("{} writes lost and found\n", writes);
}

TEST(CrashExplorerCanary, OracleThatAcceptsEverything) {
  ExplorerOptions options;
  EXPECT_EQ(Explorer(options).explore_forbidden("write /f 100 6000; fsync /f"), "");
  options.accept_all = true;
  EXPECT_NE(Explorer(options).explore_forbidden("write /f 100 6000; fsync /f"), "");
}

}  // namespace
}  // namespace scalefs::testing
