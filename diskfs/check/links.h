// The second pass of the checker: names against inodes, link counts, parents, reachability,
// orphans, and the numbers that the superblock and the marks promise. Needs no I/O.
#pragma once

#include "diskfs/check/finding.h"
#include "diskfs/check/inode_table.h"
#include "diskfs/superblock.h"

namespace scalefs::diskfs {

// `complete`: the tree was read whole. Without that only what cannot come from a lost node is told.
void check_links(InodeTable& table, const Superblock& sb, bool complete, Findings& findings);

}  // namespace scalefs::diskfs
