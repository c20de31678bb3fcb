#include "fuse/sync_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/units.h"
#include "fuse/startup.h"

namespace scalefs::fuse {
namespace {

// True when the file system of device `device` is one of ours, by its type in mountinfo(5).
bool is_scalefs(dev_t device) {
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(std::fopen("/proc/self/mountinfo", "re"),
                                                     &std::fclose);
  if (mounts == nullptr) return false;
  char* line = nullptr;
  size_t capacity = 0;
  bool found = false;
  while (!found && ::getline(&line, &capacity, mounts.get()) > 0) {
    unsigned major_number = 0, minor_number = 0;
    if (std::sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) != 2) continue;
    if (makedev(major_number, minor_number) != device) continue;
    const char* dash = std::strstr(line, " - ");
    found = dash != nullptr && (std::strncmp(dash + 3, "fuse.scalefs ", 13) == 0 ||
                                std::strncmp(dash + 3, "fuseblk.scalefs ", 16) == 0);
  }
  std::free(line);
  return found;
}

int complain(const std::string& mountpoint, const char* what) {
  std::fprintf(stderr, "scalefs: %s: %s\n", mountpoint.c_str(), what);
  return kExitUsage;
}

}  // namespace

int sync_command(const std::string& mountpoint) {
  const int root = ::open(mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return complain(mountpoint, std::strerror(errno));
  struct stat status;
  int result = kExitOk;
  if (::fstat(root, &status) != 0) {
    result = complain(mountpoint, std::strerror(errno));
  } else if (!is_scalefs(status.st_dev) || status.st_ino != kRootMnode.v) {
    result = complain(mountpoint, "not the mount point of a scalefs volume");
  } else if (::syncfs(root) != 0 || ::fsync(root) != 0) {
    result = complain(mountpoint, std::strerror(errno));
  }
  ::close(root);
  return result;
}

}  // namespace scalefs::fuse
