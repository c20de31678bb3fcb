// An image file or a block device of the host. Direct I/O where the host allows it, so that the
// host caches nothing twice; else buffered. pread and pwrite; flush is fdatasync.
#pragma once

#include <memory>
#include <string>

#include "diskfs/block_device.h"
#include "diskfs/image_lock.h"

namespace scalefs::diskfs {

struct FileDeviceOptions {
  bool read_only = false;
  bool direct = true;  // false: always buffered
  bool lock = true;    // exclusive, or shared when the file is opened read-only
  LockWait lock_wait;
  // A block device that the kernel has in use (mounted, swap, part of an array) answers EBUSY.
  bool claim = false;
};

class FileDevice : public BlockDevice {
 public:
  // Opens `path`; read-only when it is not writable (EACCES, EROFS, EPERM). A file is as large as
  // the whole blocks that it holds. On error `*why` is a sentence for the operator. Errors: ENOENT,
  // EACCES, EISDIR, EBUSY (locked, or in use), EINVAL (neither a file nor a block device, or
  // smaller than a block), EIO.
  static Result<std::unique_ptr<FileDevice>> open(const std::string& path,
                                                  const FileDeviceOptions& options,
                                                  std::string* why);
  ~FileDevice() override;
  FileDevice(const FileDevice&) = delete;
  FileDevice& operator=(const FileDevice&) = delete;

  uint64_t block_count() const override { return block_count_; }
  bool read_only() const override { return read_only_; }
  Status read(BlockNo first, Bytes to) override;
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override;
  Status discard(BlockNo first, uint64_t count) override;
  Status write_zeroes(BlockNo first, uint64_t count) override;

  bool direct() const { return direct_; }
  bool is_block_device() const { return block_device_; }
  const std::string& path() const { return path_; }
  // Looks at the size again, after the owner of the device has changed it; no other call may run.
  Status measure(std::string* why);
  // The descriptor, for what the interface does not offer (ioctl, fork of a daemon). Stays ours.
  int fd() const { return fd_; }

 private:
  FileDevice(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  void try_direct();
  Status read_fully(uint64_t offset, Bytes to);
  Status write_fully(uint64_t offset, ConstBytes from);
  // Tells the operator, once for many.
  Errno not_written(const char* what, int code) const;
  bool must_bounce(const void* data) const;

  std::string path_;
  int fd_;
  uint64_t block_count_ = 0;
  bool read_only_ = false;
  bool direct_ = false;
  bool block_device_ = false;
};

}  // namespace scalefs::diskfs
