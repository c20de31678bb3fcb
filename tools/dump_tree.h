// Prints what the tree of one checkpoint holds: its nodes, an inode, a directory.
#pragma once

#include <optional>
#include <string>

#include "diskfs/node_store.h"
#include "diskfs/superblock.h"
#include "tools/console.h"
#include "tools/record_printer.h"

namespace scalefs::tools {

class TreeDump {
 public:
  // All outlive it. `verbose`: items of nodes, values of xattrs.
  TreeDump(diskfs::NodeStore& store, const diskfs::Superblock& sb, bool verbose, Console& console,
           RecordPrinter& printer)
      : store_(store), reader_(store, sb.root), sb_(sb), verbose_(verbose), console_(console),
        printer_(printer) {}

  // They answer the exit code (dump.h). `target`: an inode's number, or a path from the root.
  int show_nodes();
  int show_inode(const std::string& target);
  int show_directory(const std::string& target);

 private:
  // None: it was said why, `*code` is the exit code. find() reads its attributes too.
  Result<std::vector<diskfs::Dirent>> entries_of(Ino dir, const std::string& name);
  std::optional<Ino> resolve(const std::string& target, int* code);
  std::optional<Ino> find(const std::string& target, diskfs::InodeItem* item, int* code);
  int unreadable(Ino ino, const char* what);
  int show_mappings(Ino ino);
  int show_xattrs(Ino ino);

  diskfs::NodeStore& store_;
  diskfs::TreeReader reader_;
  const diskfs::Superblock& sb_;
  const bool verbose_;
  Console& console_;
  RecordPrinter& printer_;
};

}  // namespace scalefs::tools
