#include "tests/support/image_programs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace scalefs::testing {

namespace {

// A new file of which nobody else has the name.
std::string temporary_file() {
  std::string path = ::testing::TempDir() + "scalefs-test-XXXXXX";
  const int fd = mkstemp(path.data());
  EXPECT_GE(fd, 0) << path;
  if (fd >= 0) close(fd);
  return path;
}

std::string take_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  unlink(path.c_str());
  return text.str();
}

}  // namespace

ImageFile::ImageFile(diskfs::BlockDevice& device) : path_(temporary_file()) {
  const int fd = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  constexpr uint64_t kBlocks = 64;
  const uint64_t count = device.block_count();
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(count * kBlockBytes)), 0);
  std::vector<std::byte> buffer(kBlocks * kBlockBytes);
  for (uint64_t block = 0; block < count; block += kBlocks) {
    const size_t bytes = std::min(kBlocks, count - block) * kBlockBytes;
    EXPECT_TRUE(device.read(BlockNo(block), std::span(buffer).first(bytes)).ok());
    const auto end = buffer.begin() + static_cast<ptrdiff_t>(bytes);
    if (std::all_of(buffer.begin(), end, [](std::byte byte) { return byte == std::byte{0}; })) {
      continue;
    }
    EXPECT_EQ(pwrite(fd, buffer.data(), bytes, static_cast<off_t>(block * kBlockBytes)),
              static_cast<ssize_t>(bytes));
  }
  close(fd);
}

ImageFile::~ImageFile() { unlink(path_.c_str()); }

ProgramResult run_program(const std::string& command) {
  const std::string out = temporary_file();
  const std::string error = temporary_file();
  const int status = std::system(fmt::format("{} >'{}' 2>'{}'", command, out, error).c_str());
  ProgramResult result;
  if (status != -1 && WIFEXITED(status)) result.status = WEXITSTATUS(status);
  std::istringstream lines(take_file(out));
  for (std::string line; std::getline(lines, line);) result.lines.push_back(line);
  result.error = take_file(error);
  return result;
}

ProgramResult run_reader(const std::string& source, const ImageFile& image,
                         const std::string& options) {
  return run_program(fmt::format("python3 -B '{}/tools/scalefs_reader.py' {} '{}'", source, options,
                                 image.path()));
}

}  // namespace scalefs::testing
