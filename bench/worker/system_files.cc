#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "bench/worker/files.h"

namespace scalefs::bench {
namespace {

template <class T>
T told(T result) {
  return result < 0 ? -errno : result;
}

class SystemFiles final : public Files {
 public:
  ~SystemFiles() override { close_listing(); }

  int open(const char* path, int flags, unsigned mode) override { return told(::open(path, flags | O_CLOEXEC, mode)); }
  int close(int fd) override { return told(::close(fd)); }
  int64_t pread(int fd, void* to, size_t bytes, uint64_t offset) override {
    return told<int64_t>(::pread(fd, to, bytes, static_cast<off_t>(offset)));
  }
  int64_t pwrite(int fd, const void* from, size_t bytes, uint64_t offset) override {
    return told<int64_t>(::pwrite(fd, from, bytes, static_cast<off_t>(offset)));
  }
  int64_t write(int fd, const void* from, size_t bytes) override { return told<int64_t>(::write(fd, from, bytes)); }
  int fsync(int fd) override { return told(::fsync(fd)); }
  int fdatasync(int fd) override { return told(::fdatasync(fd)); }
  int fstat(int fd, FileStatus* status) override {
    struct stat found;
    return fill(::fstat(fd, &found), found, status);
  }
  int lock(int fd, Lock lock, uint64_t offset, uint64_t bytes) override {
    struct flock wanted = {};
    wanted.l_type = lock == Lock::exclusive ? F_WRLCK : F_UNLCK;
    wanted.l_whence = SEEK_SET;
    wanted.l_start = static_cast<off_t>(offset);
    wanted.l_len = static_cast<off_t>(bytes);
    return told(::fcntl(fd, F_SETLKW, &wanted));
  }
  int get_xattr(int fd, const char* path, const char* name, void* to, size_t bytes) override {
    return static_cast<int>(told(path != nullptr ? ::getxattr(path, name, to, bytes) : ::fgetxattr(fd, name, to, bytes)));
  }
  int set_xattr(int fd, const char* name, const void* from, size_t bytes) override {
    return told(::fsetxattr(fd, name, from, bytes, 0));
  }

  int stat(const char* path, FileStatus* status) override {
    struct stat found;
    return fill(::stat(path, &found), found, status);
  }
  int truncate(const char* path, uint64_t size) override { return told(::truncate(path, static_cast<off_t>(size))); }
  int mkdir(const char* path, unsigned mode) override { return told(::mkdir(path, mode)); }
  int rmdir(const char* path) override { return told(::rmdir(path)); }
  int unlink(const char* path) override { return told(::unlink(path)); }
  int rename(const char* from, const char* to) override { return told(::rename(from, to)); }
  int chmod(const char* path, unsigned mode) override { return told(::chmod(path, mode)); }
  int set_times(const char* path, int64_t atime_s, int64_t mtime_s) override {
    const struct utimbuf times = {atime_s, mtime_s};
    return told(::utime(path, &times));
  }
  int statfs(const char* path) override {
    struct statvfs found;
    return told(::statvfs(path, &found));
  }

  int open_listing(const char* path) override {
    close_listing();
    listing_ = ::opendir(path);
    return listing_ == nullptr ? -errno : 0;
  }
  const char* next_entry() override {
    const dirent* const entry = ::readdir(listing_);
    return entry == nullptr ? nullptr : entry->d_name;
  }
  void close_listing() override {
    if (listing_ != nullptr) ::closedir(listing_);
    listing_ = nullptr;
  }

 private:
  static int fill(int result, const struct stat& found, FileStatus* status) {
    if (result != 0) return -errno;
    *status = {static_cast<uint64_t>(found.st_size), S_ISDIR(found.st_mode), found.st_atime, found.st_mtime};
    return 0;
  }
  DIR* listing_ = nullptr;
};

}  // namespace

std::unique_ptr<Files> make_system_files() { return std::make_unique<SystemFiles>(); }

void Files::remove_tree(const std::string& path, bool itself) {
  std::vector<std::string> names;
  if (open_listing(path.c_str()) != 0) return;
  while (const char* name = next_entry()) {
    if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) names.push_back(path + "/" + name);
  }
  close_listing();
  for (const std::string& name : names) {
    const int result = unlink(name.c_str());
    if (result == -EISDIR || result == -EPERM) remove_tree(name, true);
  }
  if (itself) (void)rmdir(path.c_str());
}

}  // namespace scalefs::bench
