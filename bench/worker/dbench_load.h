// A load file of dbench 4: one operation a line, as client.txt has them. Blank lines and those that begin with # say nothing.
//
//   [SECONDS] OPERATION [PARAMETER]... STATUS
//
// SECONDS: not before so long after the pass began. STATUS: NT_STATUS_OK or 0x0 when the call is to succeed, any other NT_STATUS_
// or 0x when it is not. Names are quoted; \ stands for /. client1 in a name stands for each client's own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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
  uint32_t name = 0, target = 0;  // of DbenchTables::names
  uint32_t handle = 0;            // of DbenchTables::handle_index
  // By the call: options and disposition; offset, size and result; level, most and found; microseconds.
  uint64_t numbers[3] = {};
  uint64_t after_us = 0;
};

// What lines name, by its first place in the file.
struct DbenchTables {
  std::vector<std::string> names;
  std::unordered_map<std::string, uint32_t> name_index;
  std::unordered_map<uint64_t, uint32_t> handle_index;
  uint64_t transfer_bytes_max = 0;
};

struct DbenchLoad {
  struct Line {
    uint64_t offset;
    uint32_t bytes, number;
  };
  std::string file, text;
  std::vector<Line> lines;  // those with an operation
  uint64_t counts[kDbenchCalls] = {};
  DbenchTables tables;
};

// What is wrong with a load file, a line each: FILE:LINE: text.
struct LoadProblems {
  static constexpr size_t kShown = 10;
  std::vector<std::string> lines;
  size_t more = 0;
};

// Reads line by line. dbench reads its load file on every pass, which is a part of what one of its clients costs; so do ours.
class DbenchReader {
 public:
  // Both outlive it. `tables` are filled.
  DbenchReader(const std::string& file, DbenchTables* tables, LoadProblems* problems)
      : file_(file), tables_(*tables), problems_(*problems) {}

  // False: there is no operation in the line, or a problem.
  bool read(std::string_view text, uint32_t number, DbenchOp* op);
  bool problem(const std::string& text);

 private:
  bool split(std::string_view text);
  bool read_operation(size_t at, DbenchOp* op);
  bool read_name(const std::string& text, uint32_t* index);
  bool read_value(const std::string& text, uint64_t* value);
  bool read_handle(char kind, const std::string& text, DbenchOp* op);

  const std::string& file_;
  DbenchTables& tables_;
  LoadProblems& problems_;
  uint32_t number_ = 1;
  std::vector<std::string> words_;
  std::unordered_set<uint32_t> open_;
};

// False when there are problems; then `load` is of no use.
bool read_load(const std::string& file, DbenchLoad* load, LoadProblems* problems);

}  // namespace scalefs::bench
