// Who uses a mounted file system: for the message that says why it cannot be unmounted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace scalefs::fuse {

// Of all processes that /proc shows.
std::vector<pid_t> all_processes();

struct MountUser {
  pid_t process = 0;
  std::string program;
};

// Processes with a folder, an open file or a mapping below `mountpoint`, as far as the caller may look at them; at
// most `most`. Reads /proc alone and asks nothing of the file system.
std::vector<MountUser> mount_users(const std::string& mountpoint, size_t most);

// "process 12 (bash), process 40 (vi)"; empty when nobody was found.
std::string describe_users(const std::vector<MountUser>& users);

}  // namespace scalefs::fuse
