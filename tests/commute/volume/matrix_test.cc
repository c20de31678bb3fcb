// The commutativity matrix over volumes: see tests/commute/matrix/.
//   SCALEFS_COMMUTE_CASES=n   distinct commuting cases wanted of each pair of calls
//   SCALEFS_COMMUTE_CELL=create,unlink   this pair alone
//   SCALEFS_SEED=n            another slice
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/commute/matrix/matrix.h"
#include "tests/support/seeds.h"

namespace scalefs::matrix {
namespace {

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void run_matrix(VolumeKind kind, const std::string& name, uint64_t cases) {
  MatrixOptions options;
  testing::seed_given(&options.seed);
  options.cases_a_cell = testing::count_from("SCALEFS_COMMUTE_CASES", cases);
  options.attempts_a_cell = options.cases_a_cell * 8 + 40;
  if (const char* cell = std::getenv("SCALEFS_COMMUTE_CELL")) options.only = cell;
  Rig rig(kind);
  Matrix matrix(rig, options);
  matrix.run();
  const std::string table = matrix.table();
  write_file(std::string(SCALEFS_BIN_DIR) + "/commute_" + name + ".txt", table);
  write_file(std::string(SCALEFS_BIN_DIR) + "/commute_" + name + ".svg", matrix.heat_map());
  std::printf("%s\n", table.substr(0, table.find('\n')).c_str());
  for (const std::string& difference : matrix.differences()) ADD_FAILURE() << difference;
}

TEST(Matrix, Memory) { run_matrix(VolumeKind::memory, "memory", 10); }
TEST(Matrix, Disk) { run_matrix(VolumeKind::disk, "disk", 4); }

}  // namespace
}  // namespace scalefs::matrix
