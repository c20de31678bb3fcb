// The second part of a repair: one look at all items of a tree in which every item decodes. What is
// wrong with an item by itself, or among the items of its inode, becomes an edit; what stands between
// inodes is gathered for repair_names.h. A repair looks again after each round of edits, until there
// is nothing to edit.
//
// Blocks claimed twice: a block goes to the first mapping whose checksum its content has, else to the
// first that names it; the others lose those pages. A tree node's block is no file's.
//
// Memory: 128 bytes an inode, 40 a name, and the edits. Not thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "diskfs/check/salvage.h"
#include "diskfs/items.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

struct RepairInode {
  uint64_t ino = 0;
  bool stored = false;  // has an inode item; else only other items are there
  InodeItem item;       // as stored
  // found
  uint64_t pages = 0;
  uint64_t entries = 0;
  uint64_t end_page = 0;    // behind the last mapping
  uint32_t link_bytes = 0;  // inline content of page 0
  bool has_mappings = false;
  bool has_entries = false;
  // by names
  uint32_t names = 0;
  uint32_t subdirs = 0;
  uint64_t named_in = 0;    // directory of the first name; 0 when none
  uint64_t named_hash = 0;
};

struct RepairName {
  uint64_t dir = 0;
  uint64_t hash = 0;
  DirentTarget target;
  uint32_t ordinal = 0;  // among the entries of its item
  bool gone = false;     // is being removed
};

struct RepairTables {
  std::vector<RepairInode> inodes;  // ascending
  std::vector<RepairName> names;    // by directory and hash, ascending
  std::vector<uint64_t> orphans;    // ascending
  std::vector<uint64_t> recycled;   // ascending
  std::map<uint64_t, uint64_t> marks;

  RepairInode* find(uint64_t ino) {
    auto found = std::lower_bound(inodes.begin(), inodes.end(), ino,
                                  [](const RepairInode& r, uint64_t key) { return r.ino < key; });
    return found != inodes.end() && found->ino == ino ? &*found : nullptr;
  }
};

// Edits of one round, applied together after the look.
struct RepairEdits {
  struct Put {
    Key key;
    ByteVector value;
  };
  std::vector<Key> erase;
  std::vector<Put> put;
  std::vector<uint64_t> erase_inodes;  // all items of these

  bool empty() const { return erase.empty() && put.empty() && erase_inodes.empty(); }
  Status apply(TreeWriter& tree);
};

// The path of an inode by the names of `tables`, for messages; "inode 17" where none leads there.
std::string path_of(RepairTables& tables, TreeWriter& tree, uint64_t ino);

// Fills `tables` (empty before) and adds to `edits`. Errors: as TreeWriter.
Status scan_items(TreeWriter& tree, const Superblock& sb, BlockDevice& device, RepairSpace& space,
                  RepairTables* tables, RepairEdits* edits, RepairLog& log);

}  // namespace scalefs::diskfs
