// Remote misses a call of FxMark's workloads on up to 128 simulated cores: see tests/commute/simulation/.
// Writes coherence_<volume>.txt and .svg to the build folder.
//   SCALEFS_SIMULATION_ALL=1          1, 2, 4, ... 128 cores rather than some of them
//   SCALEFS_SIMULATION_WORKLOAD=MWCL  this one alone
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "tests/commute/simulation/simulation.h"
#include "tests/support/seeds.h"

namespace scalefs::simulation {
namespace {

// Where cores work on objects of their own, or only read shared ones: at most so many misses a call on
// the largest number of cores.
constexpr double kCeiling = 0.05;
const std::set<std::string> kApart = {"MWCL", "MWUL", "MWRL", "MRPL", "MRPM", "MRPH", "MRDL",
                                      "MRDM", "DRBL", "DRBM", "DRBH", "DWOL", "DWAL", "DWTL"};
// Where they change different parts of one object data must travel, but not more a call the more cores
// there are, from 8 on, and no line takes more than its part of the misses. Neither says anything of workloads that
// miss less often than kCeiling.
constexpr double kGrowth = 1.2;
constexpr double kWorstLine = 0.01;
const std::set<std::string> kTogether = {"MWCM", "MWUM", "MWRM", "DWOM"};
// With few cores chance weighs more (which names share a bucket): so many runs count as one.
constexpr int kRunsOfFew = 4;
constexpr int kFewCores = 8;

std::vector<Row> run(On on, const std::vector<int>& cores) {
  const char* only = std::getenv("SCALEFS_SIMULATION_WORKLOAD");
  std::vector<Row> rows;
  for (const Workload& workload : workloads()) {
    if (only != nullptr && workload.name != only) continue;
    Row row{workload.name, {}};
    for (const int count : cores) {
      const int runs = kTogether.contains(workload.name) && count <= kFewCores ? kRunsOfFew : 1;
      row.outcomes.push_back(simulate(workload, on, count));
      for (int i = 1; i < runs; ++i) row.outcomes.back().add(simulate(workload, on, count));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void run_and_write(On on, const std::string& name) {
  std::vector<int> cores = {1, 8, 128};
  if (testing::count_from("SCALEFS_SIMULATION_ALL", 0) != 0)
    cores = {1, 2, 4, 8, 16, 32, 64, 128};
  const std::vector<Row> rows = run(on, cores);
  const std::string text = table(cores, rows);
  std::ofstream(std::string(SCALEFS_BIN_DIR) + "/coherence_" + name + ".txt") << text;
  std::ofstream(std::string(SCALEFS_BIN_DIR) + "/coherence_" + name + ".svg")
      << picture(cores, rows);
  for (const Row& row : rows) {
    const Outcome& most = row.outcomes.back();
    const std::string where = row.name + ": see coherence_" + name + ".txt in the build folder";
    if (kApart.contains(row.name)) {
      EXPECT_LE(most.misses_a_call(), kCeiling) << where;
    }
    if (!kTogether.contains(row.name) || most.misses_a_call() <= kCeiling) continue;
    const auto eight = static_cast<size_t>(std::ranges::find(cores, kFewCores) - cores.begin());
    EXPECT_LE(most.misses_a_call(), kGrowth * row.outcomes[eight].misses_a_call()) << where;
    EXPECT_LE(most.worst_share(), kWorstLine) << where;
  }
  std::printf("%s\n", text.substr(0, text.find("\n\n", text.find("\n\n") + 2)).c_str());
}

TEST(Simulation, Memory) { run_and_write(On::memory, "memory"); }
TEST(Simulation, Disk) { run_and_write(On::disk, "disk"); }

// The model of caches itself.
record::Access access(uintptr_t address, record::Kind kind, uint32_t size = 8) {
  record::Access made;
  made.address = address;
  made.size = size;
  made.kind = kind;
  return made;
}

TEST(Caches, CountWhatTravels) {
  using record::Kind;
  Caches caches;
  const auto misses_of = [&](int core, std::vector<record::Access> accesses) {
    const uint64_t before = caches.misses();
    caches.call(core, accesses, true);
    return caches.misses() - before;
  };
  EXPECT_EQ(misses_of(0, {access(64, Kind::write)}), 0u) << "nobody had it";
  EXPECT_EQ(misses_of(0, {access(72, Kind::read), access(64, Kind::write)}), 0u) << "its own";
  EXPECT_EQ(misses_of(1, {access(96, Kind::read)}), 1u) << "fetched";
  EXPECT_EQ(misses_of(1, {access(96, Kind::atomic_read)}), 0u);
  EXPECT_EQ(misses_of(0, {access(64, Kind::read)}), 0u) << "shared by both";
  EXPECT_EQ(misses_of(0, {access(64, Kind::lock)}), 1u) << "taken from the other";
  EXPECT_EQ(misses_of(0, {access(64, Kind::write)}), 0u);
  EXPECT_EQ(misses_of(1, {access(64, Kind::read), access(64, Kind::write)}), 2u);
  EXPECT_EQ(misses_of(2, {access(120, Kind::read, 16)}), 1u) << "two lines, one of them new";
  EXPECT_EQ(misses_of(1, {access(128, Kind::write)}), 1u) << "false sharing too";
}

}  // namespace
}  // namespace scalefs::simulation
