#include "tests/support/wide_volume.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/support/random_volume.h"

namespace scalefs::testing {

namespace {

constexpr uint64_t kBatchOperations = 200;
constexpr uint64_t kDirectoryFiles = 2500;

}  // namespace

void make_wide_volume(diskfs::BlockDevice& device, const WideVolume& what) {
  diskfs::format_small(device, 512);
  std::string why;
  auto fs = diskfs::DiskFs::mount(device, {}, &why);
  ASSERT_TRUE(fs.ok()) << why;
  diskfs::RandomVolume volume(**fs, 1);
  uint64_t operations = 0;
  const auto step = [&] {
    if (++operations % kBatchOperations == 0) volume.commit();
  };
  const Ino scattered = volume.make(kRootIno, "scattered", S_IFREG | 0600);
  volume.set_size(scattered, kBlockBytes);
  for (uint64_t i = 0; i < what.mappings; ++i, step()) volume.allocate(scattered, 2 * i, 1);
  const diskfs::ByteVector small(100, std::byte{'s'});
  const diskfs::ByteVector page(kBlockBytes, std::byte{'p'});
  Ino dir = kRootIno;
  for (uint64_t i = 0; i < what.files; ++i, step()) {
    if (i % kDirectoryFiles == 0) {
      dir = volume.make(dir, fmt::format("directory {}", i), S_IFDIR | 0755);
    }
    const Ino file = volume.make(dir, fmt::format("file number {}", i), S_IFREG | 0644);
    if (i % 3 == 0) {
      volume.write(file, 0, {page});
      volume.set_size(file, kBlockBytes);
    } else {
      volume.write_inline(file, 0, small);
      volume.set_size(file, small.size());
    }
    if (i % 50 == 0) {
      volume.set_xattr(file, "user.long", diskfs::ByteVector(4000, std::byte{'x'}));
    }
  }
  volume.commit();
  ASSERT_TRUE((*fs)->unmount().ok());
}

}  // namespace scalefs::testing
