// The reviewed list of lines that commuting calls may share (tests/commute/matrix/exceptions.txt).
// An entry: `class | volumes | calls | calls | object | reason`. Calls: one or several with `+`
// between them, in either order of the two fields, or `*`; object: a part of the text that the
// matrix prints, or
// `*`. Class `accepted`: reviewed, stays. Class `open`: known, to be removed. Volumes: memory,
// disk, both.
#pragma once

#include <string>
#include <vector>

#include "tests/commute/matrix/matrix.h"

namespace scalefs::matrix {

struct Exception {
  bool open = false;
  std::string volumes, first, second, object, reason;
  uint64_t cases = 0;  // covered so far, a case once for each line
};

class Exceptions {
 public:
  // Empty `*why` when the file is well formed.
  Exceptions(const std::string& path, const std::string& volume, std::string* why);
  // Counts the sharing; the pairs of calls in which no entry covers it.
  std::vector<std::string> uncovered(const Sharing& sharing);
  const std::vector<Exception>& entries() const { return entries_; }

 private:
  std::vector<Exception> entries_;  // those of the volume
};

}  // namespace scalefs::matrix
