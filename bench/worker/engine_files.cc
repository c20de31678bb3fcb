// Calls of a volume in this process. Paths are walked from the root by lookup, as a program that embeds a volume does;
// permissions and locks are the kernel's business, so locking does nothing here.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "bench/worker/files.h"
#include "volume/volume.h"

namespace scalefs::bench {
namespace {

using memfs::MemFs;

// An object that is held by one lookup. The root needs none.
class Held {
 public:
  Held(MemFs& fs, MnodeNo mnode) : fs_(&fs), mnode_(mnode) {}
  Held(Held&& other) noexcept : fs_(other.fs_), mnode_(std::exchange(other.mnode_, MnodeNo(0))) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(fs_, other.fs_);
    std::swap(mnode_, other.mnode_);
    return *this;
  }
  ~Held() {
    if (mnode_.v != 0 && mnode_ != kRootMnode) fs_->forget(mnode_, 1);
  }
  MnodeNo get() const { return mnode_; }

 private:
  MemFs* fs_;
  MnodeNo mnode_;
};

constexpr size_t kEntriesAtOnce = 1024;  // what getdents64 brings at a time, about

class EngineFiles final : public Files {
 public:
  explicit EngineFiles(volume::Volume& volume) : volume_(volume), fs_(volume.fs()) {}

  int open(const char* path, int flags, unsigned mode) override {
    std::string_view name;
    Held parent = walk_to_parent(path, &name);
    if (parent.get().v == 0) return -error_;
    Result<memfs::Entry> entry = Errno(ENOENT);
    if ((flags & O_CREAT) != 0) {
      entry = fs_.create(parent.get(), name, S_IFREG | mode, (flags & O_EXCL) != 0, {});
    } else {
      entry = fs_.lookup(parent.get(), name);
    }
    if (!entry.ok()) return -entry.code();
    Held object(fs_, entry->attr.mnode);
    const bool directory = S_ISDIR(entry->attr.mode);
    if (directory && (flags & O_ACCMODE) != O_RDONLY) return -EISDIR;
    if (!directory && (flags & O_DIRECTORY) != 0) return -ENOTDIR;
    if ((flags & O_TRUNC) != 0 && entry->attr.size != 0) {
      memfs::SetAttr empty;
      empty.size = 0;
      const auto cut = fs_.setattr(object.get(), empty);
      if (!cut.ok()) return -cut.code();
    }
    const uint64_t position = (flags & O_APPEND) != 0 ? entry->attr.size : 0;  // there is one writer
    for (size_t i = 0; i < open_.size(); ++i) {
      if (open_[i].object.get().v != 0) continue;
      open_[i] = {std::move(object), position, (flags & O_SYNC) != 0};
      return static_cast<int>(i);
    }
    open_.push_back({std::move(object), position, (flags & O_SYNC) != 0});
    return static_cast<int>(open_.size() - 1);
  }
  int close(int fd) override {
    const Held ended = std::move(open_[at(fd)].object);
    return 0;
  }
  int64_t pread(int fd, void* to, size_t bytes, uint64_t offset) override {
    const auto done = fs_.read(mnode(fd), offset, {static_cast<std::byte*>(to), bytes});
    return done.ok() ? static_cast<int64_t>(*done) : -done.code();
  }
  int64_t pwrite(int fd, const void* from, size_t bytes, uint64_t offset) override {
    const auto done = fs_.write(mnode(fd), offset, {static_cast<const std::byte*>(from), bytes});
    if (!done.ok()) return -done.code();
    if (open_[at(fd)].sync) {
      if (const int failed = fdatasync(fd); failed != 0) return failed;
    }
    return static_cast<int64_t>(*done);
  }
  int64_t write(int fd, const void* from, size_t bytes) override {
    uint64_t& position = open_[at(fd)].position;
    const int64_t done = pwrite(fd, from, bytes, position);
    if (done > 0) position += static_cast<uint64_t>(done);
    return done;
  }
  int fsync(int fd) override { return -volume_.fsync(mnode(fd), false).code(); }
  int fdatasync(int fd) override { return -volume_.fsync(mnode(fd), true).code(); }
  int fstat(int fd, FileStatus* status) override { return status_of(mnode(fd), status); }
  int lock(int, Lock, uint64_t, uint64_t) override { return 0; }
  int get_xattr(int fd, const char* path, const char* name, void* to, size_t bytes) override {
    const Held object = path == nullptr ? Held(fs_, MnodeNo(0)) : walk(path);
    if (path != nullptr && object.get().v == 0) return -error_;
    const auto value = fs_.getxattr(path == nullptr ? mnode(fd) : object.get(), name);
    if (!value.ok()) return -value.code();
    if (value->size() > bytes) return -ERANGE;
    std::memcpy(to, value->data(), value->size());
    return static_cast<int>(value->size());
  }
  int set_xattr(int fd, const char* name, const void* from, size_t bytes) override {
    return -fs_.setxattr(mnode(fd), name, {static_cast<const std::byte*>(from), bytes}, memfs::XattrMode::set).code();
  }

  int stat(const char* path, FileStatus* status) override {
    const Held object = walk(path);
    return object.get().v == 0 ? -error_ : status_of(object.get(), status);
  }
  int truncate(const char* path, uint64_t size) override {
    memfs::SetAttr wanted;
    wanted.size = size;
    return change(path, wanted);
  }
  int mkdir(const char* path, unsigned mode) override {
    std::string_view name;
    const Held parent = walk_to_parent(path, &name);
    if (parent.get().v == 0) return -error_;
    const auto made = fs_.mkdir(parent.get(), name, S_IFDIR | mode, {});
    if (!made.ok()) return -made.code();
    fs_.forget(made->attr.mnode, 1);
    return 0;
  }
  int rmdir(const char* path) override {
    std::string_view name;
    const Held parent = walk_to_parent(path, &name);
    return parent.get().v == 0 ? -error_ : -fs_.rmdir(parent.get(), name).code();
  }
  int unlink(const char* path) override {
    std::string_view name;
    const Held parent = walk_to_parent(path, &name);
    return parent.get().v == 0 ? -error_ : -fs_.unlink(parent.get(), name).code();
  }
  int rename(const char* from, const char* to) override {
    std::string_view source, target;
    const Held source_parent = walk_to_parent(from, &source);
    if (source_parent.get().v == 0) return -error_;
    const Held target_parent = walk_to_parent(to, &target);
    if (target_parent.get().v == 0) return -error_;
    return -fs_.rename(source_parent.get(), source, target_parent.get(), target, memfs::RenameMode::replace, {}).code();
  }
  int chmod(const char* path, unsigned mode) override {
    memfs::SetAttr wanted;
    wanted.mode = mode;
    return change(path, wanted);
  }
  int set_times(const char* path, int64_t atime_s, int64_t mtime_s) override {
    memfs::SetAttr wanted;
    wanted.atime_ns = atime_s * 1'000'000'000;
    wanted.mtime_ns = mtime_s * 1'000'000'000;
    return change(path, wanted);
  }
  int statfs(const char*) override {
    (void)volume_.statfs();
    return 0;
  }

  int open_listing(const char* path) override {
    close_listing();
    Held dir = walk(path);
    if (dir.get().v == 0) return -error_;
    listed_ = std::move(dir);
    return 0;
  }
  const char* next_entry() override {
    if (next_ == names_.size()) {
      names_.clear();
      next_ = 0;
      (void)fs_.readdir(listed_.get(), cookie_, [&](const memfs::DirectoryEntry& entry) {
        if (names_.size() == kEntriesAtOnce) return false;
        names_.emplace_back(entry.name);
        cookie_ = entry.next_cookie;
        return true;
      });
      if (names_.empty()) return nullptr;
    }
    return names_[next_++].c_str();
  }
  void close_listing() override {
    listed_ = Held(fs_, MnodeNo(0));
    names_.clear();
    next_ = 0;
    cookie_ = 0;
  }

 private:
  struct Open {
    Held object;
    uint64_t position = 0;
    bool sync = false;
  };
  static size_t at(int fd) { return static_cast<size_t>(fd); }
  MnodeNo mnode(int fd) const { return open_[at(fd)].object.get(); }

  // The number 0 and error_ when there is none.
  Held walk(std::string_view path) {
    Held here(fs_, kRootMnode);
    while (true) {
      const size_t begin = path.find_first_not_of('/');
      if (begin == std::string_view::npos) return here;
      path.remove_prefix(begin);
      const size_t end = std::min(path.find('/'), path.size());
      const auto entry = fs_.lookup(here.get(), path.substr(0, end));
      if (!entry.ok()) {
        error_ = entry.code();
        return Held(fs_, MnodeNo(0));
      }
      here = Held(fs_, entry->attr.mnode);
      path.remove_prefix(end);
    }
  }
  Held walk_to_parent(std::string_view path, std::string_view* name) {
    const size_t slash = path.rfind('/');
    *name = path.substr(slash + 1);
    return walk(path.substr(0, slash));
  }
  int status_of(MnodeNo object, FileStatus* status) {
    const auto attr = fs_.getattr(object);
    if (!attr.ok()) return -attr.code();
    *status = {attr->size, S_ISDIR(attr->mode), attr->atime_ns / 1'000'000'000, attr->mtime_ns / 1'000'000'000};
    return 0;
  }
  int change(const char* path, const memfs::SetAttr& wanted) {
    const Held object = walk(path);
    if (object.get().v == 0) return -error_;
    return -fs_.setattr(object.get(), wanted).code();
  }

  volume::Volume& volume_;
  MemFs& fs_;
  int error_ = 0;
  std::vector<Open> open_;
  Held listed_{fs_, MnodeNo(0)};
  std::vector<std::string> names_;
  size_t next_ = 0;
  uint64_t cookie_ = 0;
};

}  // namespace

std::unique_ptr<Files> make_engine_files(volume::Volume& volume) { return std::make_unique<EngineFiles>(volume); }

}  // namespace scalefs::bench
