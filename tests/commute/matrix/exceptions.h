// The reviewed list of lines that commuting calls may share (exceptions.txt). An entry names calls, the pair of
// places and the object: `volumes | calls | place | place | object | reason`. Volumes: memory, disk, both. Calls: the
// pairs of calls, as the matrix prints them, between spaces; or * for all pairs but those of calls that programs live
// from (excusable()), which an entry excuses only where it names the pair. A
// place: source file and function, as the matrix prints them without the line's number; the two in
// either order. Object: as printed, without size and line numbers ("block from ..." or "variable ...").
//
// What is excused still counts as a conflict in the matrix's totals.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/commute/matrix/world.h"

namespace scalefs::matrix {

// A line that two calls shared, by the names of both places and of the object.
struct SharedLine {
  std::string first, second, object;
};

struct Exception {
  std::string volumes, first, second, object, reason;
  // Excused so far of each pair that the entry names, or of "*": a case once for each of its lines.
  std::map<std::string, uint64_t> cases;
};

// False for create, unlink, lookup, getattr, read, write, link, and rename of what is no directory.
bool excusable(const World& world, const Call& call);

class Exceptions {
 public:
  static constexpr size_t kMax = 20;  // for all volumes together

  // Empty `*why` when the file is well formed and not too long.
  Exceptions(const std::string& path, const std::string& volume, std::string* why);
  // Whether an entry names the line for this pair of calls, which counts it there. `excusable`: both calls are.
  bool excuse(const SharedLine& line, const std::string& pair, bool excusable);
  bool names(const SharedLine& line, const std::string& pair, bool excusable) const {
    return find(line, pair, excusable).first != nullptr;
  }
  const std::vector<Exception>& entries() const { return entries_; }

 private:
  // The entry, and the pair in it; null when there is none.
  std::pair<const Exception*, std::string> find(const SharedLine& line, const std::string& pair, bool excusable) const;

  std::vector<Exception> entries_;  // those of the volume
};

}  // namespace scalefs::matrix
