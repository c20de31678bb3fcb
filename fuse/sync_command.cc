#include "fuse/sync_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fuse/mount_table.h"
#include "fuse/startup.h"

namespace scalefs::fuse {

int sync_command(const std::string& mountpoint) {
  std::string why;
  if (const auto root = open_volume_root(mountpoint, &why); root.ok()) {
    const Status synced = sync_volume(*root);
    if (!synced.ok()) why = std::strerror(synced.code());
    ::close(*root);
  }
  if (why.empty()) return kExitOk;
  std::fprintf(stderr, "scalefs: %s: %s\n", mountpoint.c_str(), why.c_str());
  return kExitUsage;
}

Status sync_volume(int root) {
  if (::syncfs(root) != 0 || ::fsync(root) != 0) return Errno(errno);
  return {};
}

}  // namespace scalefs::fuse
