// The calls that workloads make: system calls on a directory of the host, or calls of a volume in this process. One
// object a worker; descriptors are its own.
//
// Calls answer 0 or a positive result, or a negative errno value, and take paths as they come from
// Context::top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace scalefs::volume {
class Volume;
}

namespace scalefs::bench {

struct FileStatus {
  uint64_t size = 0;
  bool directory = false;
  int64_t atime_s = 0, mtime_s = 0;
};

enum class Lock : uint8_t { exclusive, none };

class Files {
 public:
  virtual ~Files() = default;

  // `flags`: O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_SYNC, O_DIRECTORY, O_DIRECT of open(2).
  virtual int open(const char* path, int flags, unsigned mode) = 0;
  virtual int close(int fd) = 0;
  virtual int64_t pread(int fd, void* to, size_t bytes, uint64_t offset) = 0;
  virtual int64_t pwrite(int fd, const void* from, size_t bytes, uint64_t offset) = 0;
  // At the descriptor's position, which moves on.
  virtual int64_t write(int fd, const void* from, size_t bytes) = 0;
  virtual int fsync(int fd) = 0;
  virtual int fdatasync(int fd) = 0;
  virtual int fstat(int fd, FileStatus* status) = 0;
  virtual int lock(int fd, Lock lock, uint64_t offset, uint64_t bytes) = 0;  // waits
  virtual int get_xattr(int fd, const char* path, const char* name, void* to, size_t bytes) = 0;  // of one of both
  virtual int set_xattr(int fd, const char* name, const void* from, size_t bytes) = 0;

  virtual int stat(const char* path, FileStatus* status) = 0;
  virtual int truncate(const char* path, uint64_t size) = 0;
  virtual int mkdir(const char* path, unsigned mode) = 0;
  virtual int rmdir(const char* path) = 0;
  virtual int unlink(const char* path) = 0;
  virtual int rename(const char* from, const char* to) = 0;
  virtual int chmod(const char* path, unsigned mode) = 0;
  virtual int set_times(const char* path, int64_t atime_s, int64_t mtime_s) = 0;
  virtual int statfs(const char* path) = 0;

  // One listing at a time. next_entry(): the name, valid until the next call, `.` and `..` with the others; null at the end.
  virtual int open_listing(const char* path) = 0;
  virtual const char* next_entry() = 0;
  virtual void close_listing() = 0;

  // The tree below the directory, and with `itself` the directory: what cannot be removed stays.
  void remove_tree(const std::string& path, bool itself);
};

std::unique_ptr<Files> make_system_files();
// The volume outlives it.
std::unique_ptr<Files> make_engine_files(volume::Volume& volume);

}  // namespace scalefs::bench
