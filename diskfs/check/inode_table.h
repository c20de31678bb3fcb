// What the checker remembers of each inode and each name while it walks the tree, in the order of
// inode numbers. Memory: 64 bytes an inode, 32 bytes a name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace scalefs::diskfs {

struct InodeRecord {
  uint64_t ino = 0;
  uint64_t mnode = 0;
  uint64_t parent_ino = 0;
  uint64_t parent_mnode = 0;
  uint32_t nlink = 0;
  uint32_t mode = 0;
  uint32_t names = 0;     // directory entries that name it
  uint32_t subdirs = 0;   // directories among its own entries
  uint64_t named_in = 0;  // a directory that names it; 0 when none does
};

struct NameRecord {
  uint64_t dir = 0;
  uint64_t ino = 0;
  uint64_t mnode = 0;
  uint8_t type = 0;
};

struct InodeTable {
  std::vector<InodeRecord> inodes;  // ascending
  std::vector<NameRecord> names;
  std::vector<uint64_t> orphans;   // orphan items, ascending
  std::vector<uint64_t> recycled;  // ascending
  std::vector<uint64_t> marks;     // counter by core slot; 0: no mark

  // nullptr when there is no such inode.
  InodeRecord* find(uint64_t ino) {
    auto found = std::lower_bound(inodes.begin(), inodes.end(), ino,
                                  [](const InodeRecord& r, uint64_t key) { return r.ino < key; });
    return found != inodes.end() && found->ino == ino ? &*found : nullptr;
  }
};

}  // namespace scalefs::diskfs
