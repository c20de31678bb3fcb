// A volume on a device in memory, and short ways to use it in tests. Without threads: every commit,
// checkpoint and writeback happens where the test says so, or where a call must wait.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "diskfs/fault_device.h"
#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "tests/support/volumes.h"
#include "volume/volume.h"

namespace scalefs::volume {

class Mounted {
 public:
  explicit Mounted(uint64_t bytes = uint64_t{64} << 20) : device_(bytes / kBlockBytes) {
    options.threads = false;
    std::string why;
    diskfs::FormatOptions format;
    format.geometry.tiny = bytes < kVolumeBytesMin;
    EXPECT_TRUE(diskfs::format(device_, format, &why).ok()) << why;
  }
  ~Mounted() {
    if (volume) volume->shutdown();
  }

  Status mount() {
    volume.reset();
    std::string why;
    auto mounted = Volume::mount(faults, options, &why);
    if (!mounted.ok()) {
      ADD_FAILURE() << "mount: " << why;
      return mounted.error();
    }
    volume = std::move(*mounted);
    return {};
  }
  // As after a crash: nothing that was not durable is there. The checker finds the image clean.
  void crash_and_mount() {
    volume->shutdown();
    volume.reset();
    testing::expect_clean(device_);
    ASSERT_TRUE(mount().ok());
  }
  void unmount_and_mount() {
    ASSERT_TRUE(volume->unmount().ok());
    volume.reset();
    testing::expect_clean(device_);
    ASSERT_TRUE(mount().ok());
  }

  memfs::MemFs& fs() { return volume->fs(); }

  MnodeNo create(MnodeNo dir, std::string_view name, uint32_t mode = 0100644) {
    const auto entry = fs().create(dir, name, mode, true, memfs::Caller{});
    EXPECT_TRUE(entry.ok()) << name << ": " << entry.code();
    return entry.ok() ? entry->attr.mnode : MnodeNo{};
  }
  MnodeNo mkdir(MnodeNo dir, std::string_view name) {
    const auto entry = fs().mkdir(dir, name, 040755, memfs::Caller{});
    EXPECT_TRUE(entry.ok()) << name << ": " << entry.code();
    return entry.ok() ? entry->attr.mnode : MnodeNo{};
  }
  // MnodeNo{} when the name is not there.
  MnodeNo find(std::string_view path) {
    MnodeNo at = kRootMnode;
    while (!path.empty()) {
      const size_t slash = path.find('/');
      const auto entry = fs().lookup(at, path.substr(0, slash));
      if (!entry.ok()) {
        EXPECT_EQ(entry.code(), ENOENT) << path;
        return {};
      }
      at = entry->attr.mnode;
      path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
    }
    return at;
  }
  bool exists(std::string_view path) { return static_cast<bool>(find(path)); }
  int write(MnodeNo file, uint64_t offset, std::string_view text) {
    const auto written = fs().write(file, offset, std::as_bytes(std::span(text)));
    if (written.ok()) {
      EXPECT_EQ(*written, text.size());
    }
    return written.code();
  }
  std::string read(MnodeNo file, uint64_t offset = 0, size_t size = 1 << 20) {
    std::string text(size, '\0');
    const auto got = fs().read(file, offset, std::as_writable_bytes(std::span(text)));
    EXPECT_TRUE(got.ok()) << got.code();
    text.resize(got.ok() ? *got : 0);
    return text;
  }
  memfs::Attr attr(MnodeNo mnode) {
    const auto attr = fs().getattr(mnode);
    EXPECT_TRUE(attr.ok()) << attr.code();
    return attr.ok() ? *attr : memfs::Attr{};
  }
  std::vector<std::string> names(MnodeNo dir) {
    std::vector<std::string> all;
    EXPECT_TRUE(fs().readdir(dir, 0, [&](const memfs::DirectoryEntry& entry) {
                      if (entry.name != "." && entry.name != "..") all.emplace_back(entry.name);
                      return true;
                    })
                    .ok());
    std::sort(all.begin(), all.end());
    return all;
  }
  uint64_t flushes() const { return faults.calls(diskfs::FaultDevice::Call::flush); }

  VolumeOptions options;

 private:
  diskfs::MemoryDevice device_;

 public:
  diskfs::FaultDevice faults{device_};
  std::unique_ptr<Volume> volume;
};

}  // namespace scalefs::volume
