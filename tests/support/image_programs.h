// Gives the content of a device to programs that read images.
#pragma once

#include <string>
#include <vector>

#include "diskfs/block_device.h"

namespace scalefs::testing {

// The device's blocks in a sparse file, which goes with the object.
class ImageFile {
 public:
  explicit ImageFile(diskfs::BlockDevice& device);
  ~ImageFile();
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct ProgramResult {
  int status = -1;                 // exit status; -1 when the program did not end by itself
  std::vector<std::string> lines;  // of standard output
  std::string error;               // standard error
};

// Runs a command of the shell.
ProgramResult run_program(const std::string& command);

// tools/scalefs_reader.py, of the source tree `source`, on the image.
ProgramResult run_reader(const std::string& source, const ImageFile& image,
                         const std::string& options = "");

}  // namespace scalefs::testing
