#include "diskfs/image_lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/clock.h"

namespace scalefs::diskfs {

namespace {

constexpr uint64_t kPollMs = 20;
constexpr uint64_t kSayAfterMs = 1000;

struct flock whole_file(ImageLock mode) {
  struct flock lock = {};
  lock.l_type = mode == ImageLock::exclusive ? F_WRLCK : F_RDLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
struct CloseFile {
  void operator()(FILE* file) const { fclose(file); }
};
using DirPointer = std::unique_ptr<DIR, CloseDir>;
using FilePointer = std::unique_ptr<FILE, CloseFile>;

// Whether /proc/PID/fdinfo/FD lists a lock of the open file description.
bool fdinfo_has_lock(const std::string& path) {
  FilePointer file(fopen(path.c_str(), "re"));
  if (!file) return false;
  char line[256];
  while (fgets(line, sizeof line, file.get()) != nullptr) {
    if (std::strncmp(line, "lock:", 5) == 0 && std::strstr(line, "OFDLCK") != nullptr) return true;
  }
  return false;
}

// Whether process `pid` has a descriptor of this file with a lock, other than our own `fd`.
bool process_holds(pid_t pid, const struct stat& image, int own_fd) {
  std::string folder = fmt::format("/proc/{}/fd", pid);
  DirPointer dir(opendir(folder.c_str()));
  if (!dir) return false;
  while (const dirent* entry = readdir(dir.get())) {
    if (entry->d_name[0] == '.') continue;
    if (pid == getpid() && std::atoi(entry->d_name) == own_fd) continue;
    struct stat other = {};
    if (stat((folder + "/" + entry->d_name).c_str(), &other) != 0) continue;
    bool same = S_ISBLK(image.st_mode)
                    ? S_ISBLK(other.st_mode) && other.st_rdev == image.st_rdev
                    : other.st_dev == image.st_dev && other.st_ino == image.st_ino;
    if (same && fdinfo_has_lock(fmt::format("/proc/{}/fdinfo/{}", pid, entry->d_name))) return true;
  }
  return false;
}

}  // namespace

pid_t lock_holder(int fd, ImageLock mode) {
  struct flock lock = whole_file(mode);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  if (lock.l_pid > 0) return lock.l_pid;  // an ordinary record lock of some other program
  struct stat image = {};
  if (fstat(fd, &image) != 0) return 0;
  DirPointer proc(opendir("/proc"));
  if (!proc) return 0;
  while (const dirent* entry = readdir(proc.get())) {
    pid_t pid = std::atoi(entry->d_name);
    if (pid > 0 && process_holds(pid, image, fd)) return pid;
  }
  return 0;
}

Status lock_image(int fd, ImageLock mode, const LockWait& wait) {
  if (mode == ImageLock::none) return {};
  uint64_t start = monotonic_ms();
  bool said = false;
  for (;;) {
    struct flock lock = whole_file(mode);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return {};
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return Errno(errno);
    uint64_t waited = monotonic_ms() - start;
    if (waited >= wait.wait_ms) return Errno(EBUSY);
    if (!said && waited >= kSayAfterMs && wait.waiting) {
      said = true;
      wait.waiting(lock_holder(fd, mode));
    }
    poll(nullptr, 0, static_cast<int>(std::min(kPollMs, wait.wait_ms - waited)));
  }
}

}  // namespace scalefs::diskfs
