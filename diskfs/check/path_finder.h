// Finds a path of some inodes in a tree that may be damaged, for messages. Walks the tree once for
// the names of those inodes and of all directories. Memory: some 80 bytes a directory and the names.
// Not thread-safe.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "diskfs/node_store.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

class PathFinder {
 public:
  PathFinder(NodeStore& store, const TreeRoot& root, const std::vector<uint64_t>& inodes);

  // One of its paths; "inode 17" when no name leads there.
  std::string path(uint64_t ino) const;

 private:
  struct Place {
    uint64_t dir = 0;
    std::string name;
  };
  std::unordered_map<uint64_t, Place> places_;
};

}  // namespace scalefs::diskfs
