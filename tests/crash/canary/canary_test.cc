// Mistakes inside the engine (base/canary.h), which the explorer of crash states must find with what it tries in CI.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/crash/explorer/armed.h"
#include "tests/crash/explorer/disk_cuts.h"
#include "tests/crash/explorer/explorer.h"

namespace scalefs::testing {
namespace {

void expect_found(Canary canary, const std::vector<std::string>& scripts) {
  Explorer explorer({});
  for (const auto& script : scripts) {
    std::string wrong;
    {
      Armed armed(canary);
      wrong = explorer.explore(script);
    }
    if (wrong.empty()) continue;
    fmt::print("{}: {:.300}\n", script, wrong);
    // It is the canary that is found: the same script is sound without it.
    EXPECT_EQ(Explorer({}).explore(script), "");
    return;
  }
  ADD_FAILURE() << "not found in " << explorer.judged() << " states";
}

// By the scripts of one call.
void expect_found(Canary canary) { expect_found(canary, crash_scripts_of_one()); }

TEST(EngineCanary, JournalFlushLeftOut) { expect_found(Canary::journal_flush_left_out); }
TEST(EngineCanary, CheckpointFlushLeftOut) { expect_found(Canary::checkpoint_flush_left_out); }
TEST(EngineCanary, FsyncWithoutCommit) { expect_found(Canary::fsync_without_commit); }
TEST(EngineCanary, FreedBlockReused) { expect_found(Canary::freed_block_reused); }
TEST(EngineCanary, RenameInTwo) { expect_found(Canary::rename_in_two); }
TEST(EngineCanary, OrphanNotRecorded) { expect_found(Canary::orphan_not_recorded); }
TEST(EngineCanary, BatchChecksumIgnored) { expect_found(Canary::batch_checksum_ignored); }
TEST(EngineCanary, DataChecksumIgnored) { expect_found(Canary::data_checksum_ignored); }

TEST(EngineCanary, MergeSkipsLog) {
  expect_found(Canary::merge_skips_log, {"core 0; create /n; core 1; create /d/n; fsync /d/n"});
}

TEST(EngineCanary, SizeBeforeData) {
  expect_found(Canary::size_before_data, {"append /f 5000; truncate /f 20000; fsync /d"});
}

// By histories that go round the journal, where batches of an earlier round stand behind its end.
TEST(EngineCanary, OldBatchAccepted) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    diskfs::DiskCuts cuts(seed);
    ASSERT_TRUE(cuts.record(25));
    std::string wrong;
    {
      Armed armed(Canary::old_batch_accepted);
      wrong = cuts.check(2);
    }
    if (wrong.empty()) continue;
    fmt::print("{:.300}\n", wrong);
    EXPECT_EQ(cuts.check(2), "");
    return;
  }
  ADD_FAILURE() << "not found";
}

}  // namespace
}  // namespace scalefs::testing
