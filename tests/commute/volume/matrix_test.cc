// The commutativity matrix over volumes: see tests/commute/matrix/. Writes commute_<volume>.txt and
// .svg to the build folder.
//   SCALEFS_COMMUTE_CASES=n   distinct commuting cases wanted of each pair of calls
//   SCALEFS_COMMUTE_CELL=create,unlink   this pair alone
//   SCALEFS_SEED=n            another slice
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/commute/matrix/exceptions.h"
#include "tests/support/seeds.h"

namespace scalefs::matrix {
namespace {

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

struct Slice {
  VolumeKind kind;
  std::string name;
  uint64_t cases_a_cell;
  uint64_t cases_min;        // a floor under all cases
  size_t cells_min;          // and under pairs of calls with any
  uint64_t conflicting_max;  // in a thousand
};

void check_sharings(Matrix& matrix, const Slice& slice, bool whole) {
  std::string why;
  Exceptions exceptions(std::string(SCALEFS_SOURCE_DIR) + "/tests/commute/matrix/exceptions.txt",
                        slice.name, &why);
  ASSERT_EQ(why, "");
  for (const Sharing& s : matrix.sharings()) {
    const auto cells = exceptions.uncovered(s);
    if (cells.empty()) continue;
    std::string calls;
    for (const std::string& pair : cells) calls += " " + pair;
    ADD_FAILURE() << s.cases << " cases share a line that no exception names:\n  " << s.first
                  << "\n  " << s.second << "\n  on " << s.object << "\n  in" << calls
                  << "\n  for example\n"
                  << s.example;
  }
  if (!whole) return;
  for (const Exception& e : exceptions.entries()) {
    std::printf("%s %llu: %s\n", e.open ? "open" : "accepted",
                static_cast<unsigned long long>(e.cases), e.reason.c_str());
    EXPECT_NE(e.cases, 0u) << "an exception that occurs no more: " << e.first << " | " << e.second;
  }
}

void run_matrix(const Slice& slice) {
  MatrixOptions options;
  const char* cell = std::getenv("SCALEFS_COMMUTE_CELL");
  const bool whole = !testing::seed_given(&options.seed) && cell == nullptr;
  options.cases_a_cell = testing::count_from("SCALEFS_COMMUTE_CASES", slice.cases_a_cell);
  options.attempts_a_cell = options.cases_a_cell * 8 + 40;
  if (cell != nullptr) options.only = cell;
  Rig rig(slice.kind);
  Matrix matrix(rig, options);
  matrix.run();
  const std::string table = matrix.table();
  write_file(std::string(SCALEFS_BIN_DIR) + "/commute_" + slice.name + ".txt", table);
  write_file(std::string(SCALEFS_BIN_DIR) + "/commute_" + slice.name + ".svg", matrix.heat_map());
  std::printf("%s\n", table.substr(0, table.find("\n\n")).c_str());
  for (const std::string& difference : matrix.differences()) ADD_FAILURE() << difference;
  check_sharings(matrix, slice, whole);
  if (!whole) return;
  EXPECT_GE(matrix.cases(), slice.cases_min);
  EXPECT_GE(matrix.cells(), slice.cells_min);
  EXPECT_LE(matrix.conflicting() * 1000, slice.conflicting_max * matrix.cases());
}

TEST(Matrix, Memory) { run_matrix({VolumeKind::memory, "memory", 30, 15'000, 545, 30}); }
TEST(Matrix, Disk) { run_matrix({VolumeKind::disk, "disk", 12, 6'000, 545, 58}); }

}  // namespace
}  // namespace scalefs::matrix
