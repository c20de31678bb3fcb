// The commutativity matrix over volumes: see tests/commute/matrix/. Writes to the build folder
// commute_<volume>.txt and .svg.
//   SCALEFS_COMMUTE_CASES=n   distinct commuting cases wanted of each pair of calls
//   SCALEFS_COMMUTE_CELL=create,unlink   this pair alone
//   SCALEFS_SEED=n            another slice
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/commute/matrix/lists.h"
#include "tests/commute/matrix/matrix.h"
#include "tests/support/seeds.h"

namespace scalefs::matrix {
namespace {

const std::string kLists = std::string(SCALEFS_SOURCE_DIR) + "/tests/commute/matrix/";

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// The cases a pair of calls that floors.txt is written for.
constexpr uint64_t kFloorCases = 50;

struct Slice {
  VolumeKind kind;
  std::string name;
  uint64_t cases_a_cell;
};

// The slice of one run; `whole` and `usual` say that it is the one that the checked-in lists are about.
struct Run {
  explicit Run(const Slice& slice) {
    const char* cell = std::getenv("SCALEFS_COMMUTE_CELL");
    const bool seeded = testing::seed_given(&options.seed);
    options.cases_a_cell = testing::count_from("SCALEFS_COMMUTE_CASES", slice.cases_a_cell);
    options.attempts_a_cell = options.cases_a_cell * 8 + 40;
    if (cell != nullptr) options.only = cell;
    usual = !seeded && options.cases_a_cell == slice.cases_a_cell;
    whole = usual && cell == nullptr;
  }

  MatrixOptions options;
  bool usual = false;
  bool whole = false;
};

// What the cell's cases share that no exception names, with an example each.
std::string lines_of(Matrix& matrix, const Exceptions& exceptions, const std::string& cell) {
  std::string text;
  for (const Sharing& s : matrix.sharings()) {
    const auto found = s.cells.find(cell);
    if (found == s.cells.end() || exceptions.names(s.line, cell, false)) continue;
    text += fmt::format("\n{} cases of it share\n  {}\n  {}\n  on {}\n  for example\n{}",
                        found->second, s.line.first, s.line.second, s.line.object, s.example);
  }
  return text;
}

// No case may share a line that no exception names. What shares one is run once more on a volume of its own: where
// that depends on what ran before (where objects meet in a cache, what waits to be written back) it is told alone.
void check_open(const Matrix& matrix, const Slice& slice, const Run& run) {
  for (const auto& [name, cell] : matrix.cells()) {
    if (cell.open() == 0) continue;
    std::string why;
    Exceptions exceptions(kLists + "exceptions.txt", slice.name, &why);
    MatrixOptions options = run.options;
    options.only = name;
    Rig rig(slice.kind);
    Matrix again(rig, options);
    again.run();
    again.review(exceptions);
    std::printf("%s: %lu cases share lines that no exception names, %lu on a volume of their own%s\n", name.c_str(),
                cell.open(), again.total().open(), lines_of(again, exceptions, name).c_str());
    // Other slices have other cases of what the exceptions name for some pairs of calls: those are told.
    if (!run.usual) continue;
    EXPECT_EQ(again.total().open(), 0u) << name << ": commuting calls share lines";
  }
}

// Of the cases that change the state, and whatever is excused: 99.9 % of all, 98 % of each pair of calls.
void check_shares(const Matrix& matrix) {
  const Cell total = matrix.total();
  EXPECT_LE(total.changing_conflicting * 1000, total.changing) << matrix.totals();
  for (const auto& [name, cell] : matrix.calls())
    EXPECT_LE(cell.changing_conflicting * 50, cell.changing) << name;
}

void check_floors(const Matrix& matrix, const Slice& slice) {
  std::string why;
  const Floors floors(kLists + "floors.txt", &why);
  ASSERT_EQ(why, "");
  for (const auto& [name, cell] : matrix.cells()) {
    const Floors::Floor floor = floors.of(name);
    EXPECT_GE(cell.changing, floor.changing * slice.cases_a_cell / kFloorCases) << name;
    EXPECT_GE(cell.commuting, floor.commuting * slice.cases_a_cell / kFloorCases) << name;
  }
}

void run_matrix(const Slice& slice) {
  std::string why;
  Exceptions exceptions(kLists + "exceptions.txt", slice.name, &why);
  ASSERT_EQ(why, "");
  Run run(slice);
  run.options.durable = slice.kind == VolumeKind::disk;
  Rig rig(slice.kind);
  Matrix matrix(rig, run.options);
  matrix.run();
  matrix.review(exceptions);
  const std::string file = std::string(SCALEFS_BIN_DIR) + "/commute_" + slice.name;
  write_file(file + ".txt", matrix.table());
  write_file(file + ".svg", matrix.heat_map());
  std::printf("%s", matrix.totals().c_str());
  for (const std::string& difference : matrix.differences()) ADD_FAILURE() << difference;
  check_open(matrix, slice, run);
  if (!run.whole) return;
  check_shares(matrix);
  check_floors(matrix, slice);
  for (const Exception& e : exceptions.entries())
    for (const auto& [pair, cases] : e.cases)
      EXPECT_NE(cases, 0u) << "an exception that occurs no more: " << pair << " | " << e.first << " | " << e.second;
}

// Runs one pair of calls that shares nothing by itself.
Cell run_canary(Canary canary) {
  MatrixOptions options;
  options.only = "lookup,mkdir";
  options.cases_a_cell = 12;
  Rig rig(VolumeKind::memory);
  rig.set_canary(canary);
  Matrix matrix(rig, options);
  matrix.run();
  return matrix.total();
}

TEST(MatrixCanary, ACounterOfAllCoresConflictsInEachCase) {
  const Cell cell = run_canary(Canary::each_call);
  EXPECT_GE(cell.commuting, 12u);
  EXPECT_EQ(cell.conflicting, cell.commuting);
  EXPECT_EQ(cell.changing_conflicting, cell.changing);
}

TEST(MatrixCanary, WhatIsTouchedNowAndThenIsCountedApart) {
  const Cell cell = run_canary(Canary::now_and_then);
  EXPECT_EQ(cell.conflicting, 0u);
  EXPECT_GT(cell.transient, 0u);
}

TEST(MatrixCanary, WithoutOneNothingConflicts) {
  const Cell cell = run_canary(Canary::none);
  EXPECT_GE(cell.commuting, 12u);
  EXPECT_EQ(cell.conflicting, 0u);
}

// A matrix whose sharing is told and not limited.
void tell(MatrixOptions options, Names names, const std::string& file, const char* what) {
  options.cases_a_cell = testing::count_from("SCALEFS_COMMUTE_CASES", 20);
  options.attempts_a_cell = options.cases_a_cell * 8 + 40;
  Rig rig(VolumeKind::memory, names);
  Matrix matrix(rig, options);
  matrix.run();
  write_file(std::string(SCALEFS_BIN_DIR) + "/" + file, matrix.table());
  std::printf("%s: %s", what, matrix.totals().c_str());
  for (const std::string& difference : matrix.differences()) ADD_FAILURE() << difference;
  EXPECT_GT(matrix.total().commuting, matrix.cells().size());
}

// Names that meet in one bucket of their directory share its lock and its list.
TEST(Matrix, OneBucket) {
  MatrixOptions options;
  options.names = true;
  tell(options, Names::together, "commute_one_bucket.txt", "names in one bucket");
}

// One change made twice at once commutes, and both calls write it: which came first, and so whose record must be
// the later one, nobody can know who does not look.
TEST(Matrix, SameChangeTwice) {
  MatrixOptions options;
  options.twice = true;
  tell(options, Names::apart, "commute_same_change.txt", "the same change twice");
}

TEST(Matrix, Memory) { run_matrix({VolumeKind::memory, "memory", 50}); }
TEST(Matrix, Disk) { run_matrix({VolumeKind::disk, "disk", 25}); }

}  // namespace
}  // namespace scalefs::matrix
