#include "tests/support/volume_snapshot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/diskfs.h"

namespace scalefs::testing {

namespace {

using diskfs::DiskFs;
using diskfs::Mapping;

class Walk {
 public:
  Walk(DiskFs& fs, VolumeSnapshot& to) : fs_(fs), pin_(fs.pin()), to_(to) {}

  void object(const std::string& path, Ino ino, int depth) {
    const diskfs::TreeReader& reader = pin_.reader();
    auto item = reader.inode(ino);
    if (!item.ok()) {
      to_[path] = fmt::format("error {}", item.code());
      return;
    }
    const bool directory = S_ISDIR(item->mode);
    std::string line = fmt::format("mode {:o} {}:{} flags {} rdev {} size {} mtime {} mnode {}",
                                   item->mode, item->uid, item->gid, item->flags, item->rdev,
                                   directory ? 0 : item->size, item->mtime_ns, item->mnode.v);
    if (!directory) line += fmt::format(" nlink {}", item->nlink) + content(ino);
    auto attributes = reader.xattrs(ino);
    if (!attributes.ok()) line += " xattrs: error";
    if (attributes.ok()) {
      for (const auto& a : *attributes) {
        line += fmt::format(" {}={:x}", a.name, crc32c(a.value.data(), a.value.size()));
      }
    }
    to_[path] = line;
    if (!directory || depth > 40) return;
    auto names = reader.list(ino, 0, 100'000);
    if (!names.ok()) to_[path] += " names: error";
    if (!names.ok()) return;
    for (const auto& entry : names->entries) {
      object(path + (path == "/" ? "" : "/") + entry.name, entry.target.ino, depth + 1);
    }
  }

 private:
  std::string content(Ino ino) {
    auto mappings = pin_.reader().map(ino, 0, uint64_t{1} << 32);
    if (!mappings.ok()) return " content: error";
    std::string text;
    AlignedBuffer page(kBlockBytes);
    for (const Mapping& m : *mappings) {
      for (uint64_t i = 0; i < m.count && m.kind == Mapping::Kind::extent; ++i) {
        const bool read = fs_.read_data(BlockNo(m.block.v + i), m.crcs[i], page.span()).ok();
        text += fmt::format(" {}:{}", m.page + i, read ? fmt::format("{:x}", m.crcs[i]) : "bad");
      }
      if (m.kind == Mapping::Kind::unwritten) text += fmt::format(" {}+{}", m.page, m.count);
      if (m.kind == Mapping::Kind::inline_data) {
        text += fmt::format(" {}:inline {:x}", m.page, crc32c(m.bytes.data(), m.bytes.size()));
      }
    }
    return text;
  }

  DiskFs& fs_;
  diskfs::CheckpointPin pin_;
  VolumeSnapshot& to_;
};

}  // namespace

VolumeSnapshot take_snapshot(diskfs::BlockDevice& device) {
  VolumeSnapshot snapshot;
  std::string why;
  diskfs::MountOptions options;
  options.read_only = true;
  auto fs = DiskFs::mount(device, options, &why);
  EXPECT_TRUE(fs.ok()) << why;
  if (fs.ok()) Walk(**fs, snapshot).object("/", kRootIno, 0);
  return snapshot;
}

}  // namespace scalefs::testing
