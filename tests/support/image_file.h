// An image file in a folder of its own, for tests of tools; gone with the object.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "diskfs/file_device.h"

namespace scalefs::testing {

class ImageFile {
 public:
  // Without blocks there is a folder, and no file yet.
  explicit ImageFile(uint64_t blocks = 0) {
    char name[] = "/tmp/scalefs_image_XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    if (blocks > 0) make(blocks * kBlockBytes);
  }
  ~ImageFile() { std::filesystem::remove_all(folder_); }
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  // Sparse.
  void make(uint64_t bytes) const {
    const int fd = open(path().c_str(), O_CREAT | O_RDWR, 0600);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
    close(fd);
  }
  std::string path() const { return folder_ + "/image"; }
  const std::string& folder() const { return folder_; }
  std::unique_ptr<diskfs::FileDevice> device() const {
    std::string why;
    auto opened = diskfs::FileDevice::open(path(), {}, &why);
    EXPECT_TRUE(opened.ok()) << why;
    return std::move(*opened);
  }

 private:
  std::string folder_;
};

}  // namespace scalefs::testing
