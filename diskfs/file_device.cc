#include "diskfs/file_device.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/blocking.h"
#include "base/aligned_buffer.h"
#include "base/log.h"
#include "diskfs/device_range.h"

namespace scalefs::diskfs {

namespace {

constexpr size_t kBounceBytes = 256 * 1024;
constexpr size_t kZeroBytes = 1 << 20;

bool means_read_only(int error) { return error == EACCES || error == EROFS || error == EPERM; }

// Opens read-write, or read-only when that is asked for or all that is allowed.
Result<int> open_file(const std::string& path, const FileDeviceOptions& options, bool* read_only) {
  struct stat st = {};
  if (stat(path.c_str(), &st) != 0) return Errno(errno);
  if (S_ISDIR(st.st_mode)) return Errno(EISDIR);
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return Errno(EINVAL);
  int flags = O_CLOEXEC | (options.claim && S_ISBLK(st.st_mode) ? O_EXCL : 0);
  *read_only = options.read_only;
  if (!*read_only) {
    int fd = open(path.c_str(), O_RDWR | flags);
    if (fd >= 0) return fd;
    if (!means_read_only(errno)) return Errno(errno);
    *read_only = true;
  }
  int fd = open(path.c_str(), O_RDONLY | flags);
  if (fd < 0) return Errno(errno);
  return fd;
}

std::string open_error(const std::string& path, int error) {
  switch (error) {
    case EINVAL: return fmt::format("{} is neither a regular file nor a block device", path);
    case EBUSY:
      return fmt::format("{} is in use by the system (mounted, or part of another device)", path);
    default: return fmt::format("cannot open {}: {}", path, std::strerror(error));
  }
}

std::string lock_error(const std::string& path, int fd, ImageLock mode, int error) {
  if (error != EBUSY) return fmt::format("cannot lock {}: {}", path, std::strerror(error));
  pid_t holder = lock_holder(fd, mode);
  if (holder > 0) return fmt::format("{} is in use by process {}", path, holder);
  return fmt::format("{} is in use by another process", path);
}

}  // namespace

Result<std::unique_ptr<FileDevice>> FileDevice::open(const std::string& path,
                                                     const FileDeviceOptions& options,
                                                     std::string* why) {
  bool read_only = false;
  auto fd = open_file(path, options, &read_only);
  if (!fd.ok()) {
    *why = open_error(path, fd.code());
    return fd.error();
  }
  std::unique_ptr<FileDevice> device(new FileDevice(path, *fd));
  device->read_only_ = read_only;
  if (options.lock) {
    ImageLock mode = read_only ? ImageLock::shared : ImageLock::exclusive;
    Status locked = lock_image(*fd, mode, options.lock_wait);
    if (!locked.ok()) {
      *why = lock_error(path, *fd, mode, locked.code());
      return locked.error();
    }
  }
  SCALEFS_TRY_VOID(device->measure(why));
  if (options.direct) device->try_direct();
  return device;
}

FileDevice::~FileDevice() { close(fd_); }

Status FileDevice::measure(std::string* why) {
  struct stat st = {};
  uint64_t bytes = 0;
  bool known = fstat(fd_, &st) == 0;
  if (known) {
    block_device_ = S_ISBLK(st.st_mode);
    bytes = st.st_size;
    if (block_device_) known = ioctl(fd_, BLKGETSIZE64, &bytes) == 0;
  }
  if (!known) {
    int error = errno;
    *why = fmt::format("cannot tell the size of {}: {}", path_, std::strerror(error));
    return Errno(error);
  }
  block_count_ = bytes / kBlockBytes;
  if (block_count_ == 0) {
    *why = fmt::format("{} is too small ({} bytes) to hold a volume", path_, bytes);
    return Errno(EINVAL);
  }
  return {};
}

// Some hosts refuse O_DIRECT at once (tmpfs of old kernels), some only at the first transfer (odd
// sector sizes): one block is read to find out.
void FileDevice::try_direct() {
  int flags = fcntl(fd_, F_GETFL);
  if (flags < 0 || fcntl(fd_, F_SETFL, flags | O_DIRECT) != 0) return;
  AlignedBuffer probe(kBlockBytes);
  if (pread(fd_, probe.data(), kBlockBytes, 0) == static_cast<ssize_t>(kBlockBytes)) {
    direct_ = true;
  } else {
    (void)fcntl(fd_, F_SETFL, flags);
  }
}

bool FileDevice::must_bounce(const void* data) const {
  return direct_ && reinterpret_cast<uintptr_t>(data) % kBlockBytes != 0;
}

// After a short transfer the rest starts again at the last whole block, as direct I/O needs.
Status FileDevice::read_fully(uint64_t offset, Bytes to) {
  about_to_block();
  for (size_t done = 0; done < to.size();) {
    ssize_t got = pread(fd_, to.data() + done, to.size() - done, offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Errno(errno == EINVAL ? EIO : errno);
    if (done + got == to.size()) break;
    size_t whole = (done + got) / kBlockBytes * kBlockBytes;
    if (whole == done) return Errno(EIO);  // the file became shorter
    done = whole;
  }
  return {};
}

// Who called has an errno that may mean something else to it (a full volume), and passes on EIO: here is known what the
// host said.
Errno FileDevice::not_written(const char* what, int code) const {
  log_error("{}: {} failed: {}{}", path_, what, std::strerror(code),
            code == ENOSPC && !block_device_ ? "; the file system that holds it is full" : "");
  return Errno(code == EINVAL ? EIO : code);
}

Status FileDevice::write_fully(uint64_t offset, ConstBytes from) {
  about_to_block();
  for (size_t done = 0; done < from.size();) {
    ssize_t put = pwrite(fd_, from.data() + done, from.size() - done, offset + done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return not_written("a write", errno);
    if (done + put == from.size()) break;
    size_t whole = (done + put) / kBlockBytes * kBlockBytes;
    if (whole == done) return not_written("a write", EIO);
    done = whole;
  }
  return {};
}

Status FileDevice::read(BlockNo first, Bytes to) {
  SCALEFS_TRY_VOID(check_range(block_count_, first, to.size()));
  uint64_t offset = first.v * kBlockBytes;
  if (!must_bounce(to.data())) return read_fully(offset, to);
  AlignedBuffer bounce(std::min(to.size(), kBounceBytes));
  for (size_t done = 0; done < to.size();) {
    size_t part = std::min(to.size() - done, bounce.size());
    SCALEFS_TRY_VOID(read_fully(offset + done, bounce.span().first(part)));
    std::memcpy(to.data() + done, bounce.data(), part);
    done += part;
  }
  return {};
}

Status FileDevice::write(BlockNo first, ConstBytes from) {
  SCALEFS_TRY_VOID(check_range(block_count_, first, from.size()));
  if (read_only_) return Errno(EROFS);
  uint64_t offset = first.v * kBlockBytes;
  if (!must_bounce(from.data())) return write_fully(offset, from);
  AlignedBuffer bounce(std::min(from.size(), kBounceBytes));
  for (size_t done = 0; done < from.size();) {
    size_t part = std::min(from.size() - done, bounce.size());
    std::memcpy(bounce.data(), from.data() + done, part);
    SCALEFS_TRY_VOID(write_fully(offset + done, bounce.span().first(part)));
    done += part;
  }
  return {};
}

Status FileDevice::flush() {
  if (read_only_) return {};
  about_to_block();
  while (fdatasync(fd_) != 0) {
    if (errno != EINTR) return not_written("a flush", errno);
  }
  return {};
}

Status FileDevice::discard(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(check_blocks(block_count_, first, count));
  if (read_only_) return Errno(EROFS);
  uint64_t range[2] = {first.v * kBlockBytes, count * kBlockBytes};
  int rc = block_device_ ? ioctl(fd_, BLKDISCARD, range)
                         : fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                     static_cast<off_t>(range[0]), static_cast<off_t>(range[1]));
  if (rc == 0 || errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL) return {};  // a hint
  return Errno(errno);
}

Status FileDevice::write_zeroes(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(check_blocks(block_count_, first, count));
  if (read_only_) return Errno(EROFS);
  uint64_t range[2] = {first.v * kBlockBytes, count * kBlockBytes};
  int rc = block_device_ ? ioctl(fd_, BLKZEROOUT, range)
                         : fallocate(fd_, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                     static_cast<off_t>(range[0]), static_cast<off_t>(range[1]));
  if (rc == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOTTY && errno != EINVAL) return not_written("a write of zeroes", errno);
  AlignedBuffer zeros(std::min<uint64_t>(range[1], kZeroBytes));
  for (uint64_t done = 0; done < range[1];) {
    uint64_t part = std::min<uint64_t>(range[1] - done, zeros.size());
    SCALEFS_TRY_VOID(write_fully(range[0] + done, zeros.span().first(part)));
    done += part;
  }
  return {};
}

}  // namespace scalefs::diskfs
