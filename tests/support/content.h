// All that users see of a mounted volume: taken in once, and compared later with what another mount shows.
#pragma once

#include <map>
#include <string>

#include "memfs/memfs.h"

namespace scalefs::testing {

struct ContentNode {
  memfs::Attr attr;
  std::string data;  // of a file; the target of a symbolic link
  std::map<std::string, std::string> xattrs;
  std::map<std::string, ContentNode> children;
};

// From the root. Any error is a failure of the running test.
ContentNode take_content(memfs::MemFs& fs);

struct ContentAnswer {
  std::string wrong;     // the first answer that is neither right nor an error of the device; else empty
  uint64_t errors = 0;   // EIO and EUCLEAN
  uint64_t answers = 0;  // that were right
};
// Asks `fs` for every name, attribute, extended attribute and page of `expected`, and for names beyond them.
// A call may answer EIO or EUCLEAN; whatever it answers else must be what is expected.
ContentAnswer compare_content(memfs::MemFs& fs, const ContentNode& expected);

}  // namespace scalefs::testing
