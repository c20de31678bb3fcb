#include "tests/fuzz/support/volume_walk.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "tests/fuzz/support/fuzzing.h"

namespace scalefs::fuzz {

namespace {

using memfs::Attr;
using memfs::DirectoryEntry;

constexpr int kDepthMax = 24;
constexpr size_t kObjectsMax = 500;
constexpr size_t kEntriesAtOnce = 24;
constexpr size_t kListingsMax = 200;
constexpr uint64_t kReadBytesMax = 256u << 10;

// What an operation on a damaged volume may answer.
void require_errno(int code, const char* call) {
  constexpr int kAllowed[] = {0,       EUCLEAN,   EIO,     ENOENT, ESTALE, ENOSPC,  EROFS,
                              EEXIST,  ENOTEMPTY, ENOTDIR, EISDIR, EMLINK, EFBIG,   ENODATA,
                              EINVAL,  ENXIO,     EPERM,   ENOMEM, ELOOP,  EOVERFLOW};
  require(std::ranges::find(kAllowed, code) != std::end(kAllowed),
          fmt::format("{} answers {}", call, code));
}

class Walker {
 public:
  explicit Walker(volume::Volume& volume) : fs_(volume.fs()) {}

  WalkReport run() {
    directory(kRootMnode, 0);
    const auto root = fs_.getattr(kRootMnode);
    note(root.code(), "getattr of the root");
    for (const MnodeNo held : held_) fs_.forget(held, 1);
    return std::move(report_);
  }

 private:
  struct Child {
    std::string name;
    MnodeNo mnode;
    bool held = false;
  };

  bool note(int code, std::string what) {
    require_errno(code, what.c_str());
    if (code == 0) return true;
    if (report_.errors++ == 0) report_.first_error = fmt::format("{}: {}", what, code);
    return false;
  }

  std::vector<Child> list(MnodeNo dir) {
    std::vector<Child> children;
    uint64_t cookie = 0;
    for (size_t listings = 0; listings < kListingsMax; ++listings) {
      const uint64_t from = cookie;
      size_t taken = 0;
      const Status status =
          fs_.readdirplus(dir, cookie, [&](const DirectoryEntry& entry, const Attr* attr) {
            if (taken == kEntriesAtOnce) return false;
            ++taken;
            cookie = entry.next_cookie;
            const bool dot = entry.name == "." || entry.name == "..";
            if (attr != nullptr && !dot) held_.push_back(entry.mnode);
            if (attr == nullptr && !dot) note(EUCLEAN, "readdirplus of " + std::string(entry.name));
            if (!dot) children.push_back({std::string(entry.name), entry.mnode, attr != nullptr});
            return true;
          });
      note(status.code(), "readdirplus");
      if (!status.ok() || taken == 0) break;
      require(cookie != from, "a listing does not advance");
    }
    // The other kind of listing has the same names.
    size_t names = 0;
    const Status status = fs_.readdir(dir, 0, [&](const DirectoryEntry&) {
      return ++names < kObjectsMax;
    });
    note(status.code(), "readdir");
    return children;
  }

  void directory(MnodeNo dir, int depth) {
    if (depth > kDepthMax || !seen_.insert(dir.v).second) return;
    for (const Child& child : list(dir)) {
      if (report_.names.size() >= kObjectsMax) return;
      const auto found = fs_.lookup(dir, child.name);
      if (!note(found.code(), "lookup of " + child.name)) continue;
      held_.push_back(found->attr.mnode);
      report_.names.push_back({dir, child.name, found->attr.mode});
      object(found->attr, depth);
    }
  }

  void object(const Attr& entry, int depth) {
    const auto attr = fs_.getattr(entry.mnode);
    if (!note(attr.code(), "getattr")) return;
    // Owners that the base image does not have.
    if (canary_wanted() && attr->uid > 2000 && attr->uid != UINT32_MAX) canary_found();
    attributes(entry.mnode);
    if (S_ISDIR(attr->mode)) {
      directory(entry.mnode, depth + 1);
      return;
    }
    if (!seen_.insert(entry.mnode.v).second) return;
    if (S_ISLNK(attr->mode)) {
      const auto target = fs_.readlink(entry.mnode);
      data(target.code(), "readlink");
    } else if (S_ISREG(attr->mode)) {
      content(entry.mnode, attr->size);
    }
  }

  void attributes(MnodeNo mnode) {
    const auto names = fs_.listxattr(mnode);
    if (!note(names.code(), "listxattr")) return;
    for (const std::string& name : *names) {
      const auto value = fs_.getxattr(mnode, name);
      // The format has names of any kind, the calls have four.
      if (value.code() != EOPNOTSUPP) note(value.code(), "getxattr");
    }
  }

  bool data(int code, const char* call) {
    require_errno(code, call);
    if (code != 0) ++report_.data_errors;
    return code == 0;
  }

  void content(MnodeNo file, uint64_t size) {
    std::vector<std::byte> buffer(16 * kBlockBytes);
    const auto read = [&](uint64_t offset) {
      const auto got = fs_.read(file, offset, buffer);
      if (!data(got.code(), "read")) return size_t{0};
      require(*got <= buffer.size() && (*got == 0 || offset + *got <= size),
              "more was read than there is");
      return *got;
    };
    const uint64_t end = std::min(size, kReadBytesMax);
    for (uint64_t offset = 0; offset < end; offset += buffer.size()) read(offset);
    if (size > end) read(size - 1);
    uint64_t offset = 0;
    for (int i = 0; i < 12; ++i) {
      const bool hole = i % 2 == 1;
      const auto found = fs_.seek(file, offset, hole ? memfs::SeekMode::hole : memfs::SeekMode::data);
      require_errno(found.code(), "seek");
      if (!found.ok()) {
        if (found.code() != ENXIO) ++report_.data_errors;
        break;
      }
      require(*found >= offset && *found <= size, "seek goes back, or beyond the end");
      offset = *found;
      if (!hole && offset >= end) read(offset);
    }
  }

  memfs::MemFs& fs_;
  WalkReport report_;
  std::set<uint64_t> seen_;
  std::vector<MnodeNo> held_;
};

}  // namespace

WalkReport walk_volume(volume::Volume& volume) {
  (void)volume.statfs();
  (void)volume.statistics();
  return Walker(volume).run();
}

void change_volume(volume::Volume& volume, const WalkReport& found) {
  memfs::MemFs& fs = volume.fs();
  const memfs::Caller caller{.uid = 1, .gid = 1, .umask = 022};
  const std::vector<std::byte> bytes(3 * kBlockBytes, std::byte{0x5a});
  const auto give_back = [&](const Result<memfs::Entry>& entry, const char* call) {
    require_errno(entry.code(), call);
    if (entry.ok()) fs.forget(entry->attr.mnode, 1);
  };
  const auto made = fs.create(kRootMnode, "made new", S_IFREG | 0644, false, caller);
  require_errno(made.code(), "create");
  if (made.ok()) {
    const MnodeNo file = made->attr.mnode;
    require_errno(fs.write(file, 100, bytes).code(), "write");
    require_errno(fs.setxattr(file, "user.new", ConstBytes(bytes).first(900), memfs::XattrMode::set)
                      .code(),
                  "setxattr");
    give_back(fs.link(file, kRootMnode, "made too"), "link");
    require_errno(volume.fsync(file, false).code(), "fsync");
    fs.forget(file, 1);
  }
  give_back(fs.mkdir(kRootMnode, "made directory", 0755, caller), "mkdir");
  for (size_t i = 0; i < found.names.size(); ++i) {
    const WalkReport::Name& at = found.names[i];
    switch (i % 6) {
      case 0: {
        const auto entry = fs.lookup(at.dir, at.name);
        require_errno(entry.code(), "lookup");
        if (!entry.ok()) break;
        memfs::SetAttr change;
        change.size = i % 12 == 0 ? 100 : 7 * kBlockBytes;
        require_errno(fs.setattr(entry->attr.mnode, change).code(), "setattr");
        require_errno(fs.write(entry->attr.mnode, 50, ConstBytes(bytes).first(5000)).code(), "write");
        fs.forget(entry->attr.mnode, 1);
        break;
      }
      case 1: require_errno(fs.unlink(at.dir, at.name).code(), "unlink"); break;
      case 2: require_errno(fs.rmdir(at.dir, at.name).code(), "rmdir"); break;
      case 3:
        require_errno(fs.rename(at.dir, at.name, kRootMnode, fmt::format("moved {}", i),
                                memfs::RenameMode::replace, caller)
                          .code(),
                      "rename");
        break;
      case 4: {
        const WalkReport::Name& over = found.names[(i * 7 + 3) % found.names.size()];
        require_errno(
            fs.rename(at.dir, at.name, over.dir, over.name, memfs::RenameMode::replace, caller).code(),
            "rename over a name");
        break;
      }
      default: break;
    }
  }
  require_errno(volume.fsync(kRootMnode, false).code(), "fsync of the root");
  require_errno(volume.sync().code(), "sync");
  (void)volume.step_checkpoint();
  (void)volume.step_maintenance();
}

void use_image(diskfs::BlockDevice& device, bool sound) {
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 16u << 20;
  std::string why;
  auto mounted = volume::Volume::mount(device, options, &why);
  // Features that this version can only read are no damage.
  if (sound && mounted.code() == EROFS) {
    require(!why.empty(), "a mount is refused without a reason");
    options.read_only = true;
    mounted = volume::Volume::mount(device, options, &why);
  }
  if (!mounted.ok()) {
    require(!sound, "a sound volume does not mount: " + why);
    require(!why.empty(), "a mount is refused without a reason");
    return;
  }
  volume::Volume& volume = **mounted;
  const WalkReport found = walk_volume(volume);
  require(!sound || found.errors == 0, "a sound volume fails: " + found.first_error);
  change_volume(volume, found);
  const bool in_order = volume.unmount().ok() && !volume.failed();
  mounted->reset();
  if (!in_order) return;
  options.read_only = true;
  auto again = volume::Volume::mount(device, options, &why);
  require(again.ok(), "a volume that was unmounted in order does not mount: " + why);
}

}  // namespace scalefs::fuzz
