// The reviewed list of lines that commuting calls may share (exceptions.txt). An entry names the pair of
// places and the object: `volumes | place | place | object | reason`. Volumes: memory, disk, both. A
// place: source file and function, as the matrix prints them without the line's number; the two in
// either order. Object: as printed, without size and line numbers ("block from ..." or "variable ...").
//
// An entry excuses no case of the calls that programs live from (excusable()): those share nothing,
// or the test fails. What is excused still counts as a conflict in the matrix's totals.
#pragma once

#include <string>
#include <vector>

#include "tests/commute/matrix/world.h"

namespace scalefs::matrix {

// A line that two calls shared, by the names of both places and of the object.
struct SharedLine {
  std::string first, second, object;
};

struct Exception {
  std::string volumes, first, second, object, reason;
  uint64_t cases = 0;  // excused so far, a case once for each of its lines
};

// False for create, unlink, lookup, getattr, read, write, link, and rename of what is no directory.
bool excusable(const World& world, const Call& call);

class Exceptions {
 public:
  static constexpr size_t kMax = 20;  // for all volumes together

  // Empty `*why` when the file is well formed and not too long.
  Exceptions(const std::string& path, const std::string& volume, std::string* why);
  // Whether an entry names the line, which counts it there.
  bool excuse(const SharedLine& line);
  bool names(const SharedLine& line) const { return find(line) >= 0; }
  const std::vector<Exception>& entries() const { return entries_; }

 private:
  int find(const SharedLine& line) const;

  std::vector<Exception> entries_;  // those of the volume
};

}  // namespace scalefs::matrix
