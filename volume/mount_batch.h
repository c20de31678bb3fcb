// What a read-write mount commits before it serves anything: mnode numbers ahead of use (P5), and the end
// of the orphans that the last mount left (I12). Ordinary batches through the ordinary commit.
#pragma once

#include "diskfs/diskfs.h"
#include "volume/mnode_marks.h"

namespace scalefs::volume {

// Commits the pending marks and tells `marks`. Orphans that still have links (a damaged image) lose
// their orphan item only.
Status commit_mount_batches(diskfs::DiskFs& disk, MnodeMarks& marks);

}  // namespace scalefs::volume
