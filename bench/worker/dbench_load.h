// A load file of dbench 4: one operation a line, as client.txt has them. Blank lines and those that begin with # say nothing.
//
//   [SECONDS] OPERATION [PARAMETER]... STATUS
//
// SECONDS: not before so long after the pass began. STATUS: NT_STATUS_OK or 0x0 when the call is to succeed, any other NT_STATUS_
// or 0x when it is not. Names are quoted; \ stands for /. client1 in a name stands for each client's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scalefs::bench {

enum class DbenchCall : uint8_t {
  NTCreateX, Close, Rename, Unlink, Deltree, Rmdir, Mkdir, Qpathinfo, Qfileinfo, Qfsinfo, Sfileinfo, Find,
  WriteX, ReadX, LockX, UnlockX, Flush, Sleep
};
inline constexpr size_t kDbenchCalls = static_cast<size_t>(DbenchCall::Sleep) + 1;

struct DbenchOp {
  DbenchCall call;
  bool succeeds = true;
  uint32_t line = 0;
  uint32_t name = 0, target = 0;  // of DbenchLoad::names
  uint32_t handle = 0;            // below DbenchLoad::handles
  // By the call: options and disposition; offset, size and result; level, most and found; microseconds.
  uint64_t numbers[3] = {};
  uint64_t after_us = 0;
};

struct DbenchLoad {
  std::string file;
  std::vector<DbenchOp> ops;
  std::vector<std::string> names;
  uint32_t handles = 0;
  uint64_t transfer_bytes_max = 0;
};

// What is wrong with a load file, a line each: FILE:LINE: text.
struct LoadProblems {
  static constexpr size_t kShown = 10;
  std::vector<std::string> lines;
  size_t more = 0;
};

// False when there are problems; then `load` is of no use.
bool read_load(const std::string& file, DbenchLoad* load, LoadProblems* problems);

}  // namespace scalefs::bench
