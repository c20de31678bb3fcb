// The mapping items of inodes in a tree that is being written: which file page is in which block, is
// allocated but unwritten, or is inline. Mappings of an inode never overlap.
//
// Ranges are in pages, [from, to), to <= kFilePagesMax. Part of the apply function: blocks that fall
// out of the tree are told to the sink. Errors: as TreeWriter; EUCLEAN for items that do not decode.
// Not thread-safe.
#pragma once

#include <bitset>

#include "diskfs/apply.h"
#include "diskfs/items.h"

namespace scalefs::diskfs {

class FileMap {
 public:
  FileMap(TreeWriter& tree, SpaceSink& sink) : tree_(tree), sink_(sink) {}

  // Blocks that are about to be mapped (again) where they stand: remove() does not report the pages
  // of them that are mapped so already, and marks them in `mapped`.
  struct Incoming {
    uint64_t page = 0;
    BlockNo first;
    std::bitset<kExtentItemBlocksMax> mapped;
  };

  // The first mapping that ends behind `page`; false when there is none.
  Result<bool> next(Ino ino, uint64_t page, Mapping* mapping);
  // Unmaps the range and returns how many of its pages were mapped. `incoming` may be null.
  Result<uint64_t> remove(Ino ino, uint64_t from, uint64_t to, Incoming* incoming);
  // Maps pages that are not mapped; joined with neighbours that it continues.
  Status insert(Ino ino, Mapping mapping);
  // Reports the blocks of an encoded mapping item that is being removed with its inode.
  Status release_item(const Key& key, ConstBytes value);

 private:
  Status release(const Mapping& mapping, Incoming* incoming);
  Status store(Ino ino, const Mapping& mapping);
  Status join_left(Ino ino, Mapping* mapping);
  Status join_right(Ino ino, Mapping* mapping);

  TreeWriter& tree_;
  SpaceSink& sink_;
};

}  // namespace scalefs::diskfs
