// All that users can see of a volume, by path, to be compared with what is there later.
#pragma once

#include <map>
#include <string>

#include "diskfs/block_device.h"

namespace scalefs::testing {

// A line with attributes, extended attributes and content (as checksums of pages; a page that cannot be
// read says so) for each path. Counts of links of directories are left out. The volume is mounted
// read-only, journal included; failing to is a failure of the running test.
using VolumeSnapshot = std::map<std::string, std::string>;
VolumeSnapshot take_snapshot(diskfs::BlockDevice& device);

}  // namespace scalefs::testing
