// What is mounted, as the kernel lists it (mountinfo(5)).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace scalefs::fuse {

struct MountEntry {
  dev_t device = 0;
  std::string mountpoint;
  std::string type;    // "fuse.scalefs"
  std::string source;  // what was given as the source: the image, by the name that it was mounted by; for a fuseblk mount, by its whole path
  bool is_scalefs() const;
};

// In the order of mounting. Of this process' mount namespace, or of another process' (empty: not to be read).
std::vector<MountEntry> mount_table(pid_t process = 0);

// The uppermost mount that `operand` names: a mount point, or the source of one. Asks nothing of the mounted file
// systems where the name is the mount point's, so that it answers for one whose daemon is gone.
std::optional<MountEntry> find_mount(const std::string& operand);

// Opens the root of the volume that is mounted on `mountpoint`. ENOTCONN, ECONNABORTED: its daemon is gone; EINVAL: no such mount
// point; else as open(2). On an error `*why` says it in some words.
Result<int> open_volume_root(const std::string& mountpoint, std::string* why);

}  // namespace scalefs::fuse
