// A loop device over an image, which gives a fuseblk mount the block device that it needs. Nothing is read or written through it; it
// goes by itself when the mount does.
#pragma once

#include <string>

#include "base/result.h"

namespace scalefs::fuse {

class LoopDevice {
 public:
  // A device over the file behind `image`, opened anew, so that the device does not share its lock. ENOENT, EPERM: there are none here;
  // EBUSY: none is free.
  static Result<LoopDevice> attach(int image, bool read_only);
  LoopDevice(LoopDevice&& other) noexcept;
  LoopDevice& operator=(LoopDevice&&) = delete;
  ~LoopDevice();  // the device goes, unless somebody else uses it by now

  const std::string& path() const { return path_; }

 private:
  LoopDevice(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

}  // namespace scalefs::fuse
