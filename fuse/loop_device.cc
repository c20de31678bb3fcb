#include "fuse/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace scalefs::fuse {
namespace {

constexpr int kTries = 16;  // another process may take the free one first

// The number of a device that is free at the moment.
Result<int> free_device() {
  const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return Errno(errno);
  const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
  const Errno error(errno);
  ::close(control);
  if (number < 0) return error;
  return number;
}

}  // namespace

Result<LoopDevice> LoopDevice::attach(int image, bool read_only) {
  const int mode = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  const int file = ::open(("/proc/self/fd/" + std::to_string(image)).c_str(), mode);
  if (file < 0) return Errno(errno);
  Result<LoopDevice> made = Errno(EBUSY);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const auto number = free_device();
    if (!number.ok()) {
      made = number.error();
      break;
    }
    const std::string path = "/dev/loop" + std::to_string(*number);
    const int fd = ::open(path.c_str(), mode);
    if (fd < 0) {
      made = Errno(errno);
      break;
    }
    loop_config config = {};
    config.fd = static_cast<uint32_t>(file);
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
    if (::ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
      ::close(file);
      return LoopDevice(path, fd);
    }
    made = Errno(errno);
    ::close(fd);
    if (made.code() != EBUSY) break;
  }
  ::close(file);
  return made;
}

LoopDevice::LoopDevice(LoopDevice&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

LoopDevice::~LoopDevice() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace scalefs::fuse
