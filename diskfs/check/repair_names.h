// The third part of a repair: what stands between inodes. Three kinds of edits, each made only when
// there is nothing to edit of the kinds before, so that counts are taken of names that stay:
//   names    missing inodes of items that stand alone, the root, unknown modes, mnode numbers given
//            twice, names of nothing or with another type or mnode number, under the wrong hash, of a
//            second place of a directory
//   lost     directories in circles and inodes without a name come to /lost+found as "#<mnode>"
//   counts   links, entries, pages, parents, sizes of symbolic links, orphans, recycled numbers,
//            marks
// Needs no I/O but the tree's. Not thread-safe.
#pragma once

#include <fmt/core.h>

#include "diskfs/check/repair_scan.h"

namespace scalefs::diskfs {

class RepairNames {
 public:
  // All must outlive the object. `next_ino` is raised by every inode that is made.
  RepairNames(TreeWriter& tree, const Superblock& sb, RepairTables& tables, uint64_t& next_ino,
              RepairEdits& edits, RepairLog& log)
      : tree_(tree),
        sb_(sb),
        tables_(tables),
        next_ino_(next_ino),
        edits_(edits),
        log_(log) {}

  // Whether anything was edited, in the tree or in `edits`.
  Result<bool> run();

 private:
  // A change of one name that stands in the tree; names are changed last.
  struct NameEdit {
    uint64_t dir = 0;
    uint64_t hash = 0;
    uint32_t ordinal = 0;
    bool remove = false;
    DirentTarget target;
  };

  // names
  Status fix_names();
  void make_missing_inodes();
  void fix_root();
  void fix_modes();
  void fix_double_mnodes();
  Status fix_hashes();
  void fix_targets();
  void fix_places();
  Status apply_name_edits();
  // lost
  void count_names();
  Status find_lost();
  void cut_circles();
  Status reconnect(RepairInode& inode);
  Result<RepairInode*> lost_and_found();
  // counts
  void fix_counts();
  void fix_orphans();
  void fix_numbers();

  bool has_orphan_item(uint64_t ino) const;
  // A number that no inode has; its mark is raised.
  MnodeNo new_mnode();
  void put_inode(uint64_t ino, const InodeItem& item);
  void remove_name(RepairName& name);
  Result<bool> add_name(uint64_t dir, const std::string& name, const DirentTarget& target);
  template <class... Args>
  void done(Code code, fmt::format_string<Args...> format, Args&&... args);
  template <class... Args>
  void lose(Code code, fmt::format_string<Args...> format, Args&&... args);
  std::string path(uint64_t ino) { return path_of(tables_, tree_, ino); }
  std::string name_text(const RepairName& name);

  TreeWriter& tree_;
  const Superblock& sb_;
  RepairTables& tables_;
  uint64_t& next_ino_;
  RepairEdits& edits_;
  RepairLog& log_;
  std::vector<NameEdit> name_edits_;
  bool changed_ = false;  // the tree itself
  std::vector<RepairInode> made_;
};

}  // namespace scalefs::diskfs
