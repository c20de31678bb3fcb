#include "fuse/memory_limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/image_file.h"

namespace scalefs::fuse {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;

class MemoryLimit : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root_ + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  static uint64_t machine() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }

  const scalefs::testing::ImageFile files_;  // for its folder
  const std::string root_ = files_.folder();
};

TEST_F(MemoryLimit, IsTheMachinesWhereNoGroupHasOne) {
  EXPECT_EQ(memory_limit(root_), machine());
  write("/proc/self/cgroup", "0::/user.slice/one\n");
  EXPECT_EQ(memory_limit(root_), machine());
  write("/sys/fs/cgroup/user.slice/one/memory.max", "max\n");
  EXPECT_EQ(memory_limit(root_), machine());
  // What version 1 says for none.
  write("/proc/self/cgroup", "4:memory:/one\n");
  write("/sys/fs/cgroup/memory/one/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(memory_limit(root_), machine());
  write("/proc/self/cgroup", "nonsense\n:\n::\n");
  EXPECT_EQ(memory_limit(root_), machine());
}

TEST_F(MemoryLimit, IsTheLeastOfTheGroupsAbove) {
  write("/proc/self/cgroup", "0::/user.slice/one\n");
  write("/sys/fs/cgroup/user.slice/one/memory.max", "52428800\n");
  EXPECT_EQ(memory_limit(root_), 50 * kMebibyte);
  write("/sys/fs/cgroup/user.slice/memory.max", "41943040\n");
  EXPECT_EQ(memory_limit(root_), 40 * kMebibyte);
  write("/sys/fs/cgroup/memory.max", "31457280\n");  // a container's own, seen at the top
  EXPECT_EQ(memory_limit(root_), 30 * kMebibyte);
}

TEST_F(MemoryLimit, IsThatOfTheMemoryControllerOfVersionOne) {
  write("/proc/self/cgroup", "5:cpu,cpuacct:/b\n4:hugetlb,memory:/a/b/\n0::/\n");
  write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "62914560\n");
  write("/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "1\n");  // another's
  EXPECT_EQ(memory_limit(root_), 60 * kMebibyte);
}

TEST(DefaultCache, IsASixteenthButNeitherNothingNorMostOfAMachine) {
  EXPECT_EQ(default_cache_bytes(uint64_t{64} << 30), 4096 * kMebibyte);
  EXPECT_EQ(default_cache_bytes(uint64_t{24} << 30), 1536 * kMebibyte);
  EXPECT_EQ(default_cache_bytes(uint64_t{8} << 30), 512 * kMebibyte);
  EXPECT_EQ(default_cache_bytes(uint64_t{2} << 30), 512 * kMebibyte);
  EXPECT_EQ(default_cache_bytes(600 * kMebibyte), 300 * kMebibyte);
  EXPECT_EQ(default_cache_bytes(kMebibyte), 16 * kMebibyte);
}

}  // namespace
}  // namespace scalefs::fuse
