// umount(8), called by root, asks the kernel alone for the type of what is mounted, and the kernel says "fuse": it looks for a
// helper only where the table of mounts that libmount keeps (/run/mount/utab) names one. So that table gets a line.
//
// Nothing for other users: for them umount(8) looks closer. A machine without that table is no error: umount(8) then
// unmounts without the helper.
#pragma once

#include <string>

namespace scalefs::fuse {

// From now on umount(8) of `mountpoint` calls umount.scalefs.
void note_umount_helper(const std::string& source, const std::string& mountpoint);
// Takes all lines of this mount point away.
void forget_umount_helper(const std::string& mountpoint);

}  // namespace scalefs::fuse
