// Trees of files: made, looked at and removed as mdtest does it; unpacked as by tar; kept in a repository as by git.
#include <fcntl.h>

#include "bench/worker/workload.h"

namespace scalefs::bench {
namespace {

// A tree of directories, `--files` files in its leaves and inner directories: phases of creating, looking at and removing.
class MdTest final : public Workload {
 public:
  explicit MdTest(Context& context) : Workload(context) {}
  void prepare() override {
    const std::string top = own_folder();
    make_folder(top);
    folders_.push_back(top);
    for (size_t first = 0, level = 0; level < kDepth; ++level) {
      const size_t end = folders_.size();
      for (; first < end; ++first) {
        for (unsigned i = 0; i < kBranch; ++i) folders_.push_back(folders_[first] + "/d" + std::to_string(i));
      }
    }
    const uint64_t files = std::max<uint64_t>(context_.settings.files, 1);
    for (uint64_t i = 0; i < files; ++i) paths_.push_back(folders_[i % folders_.size()] + "/f" + std::to_string(i));
  }
  int step() override {
    const int kind = phase_;
    switch (phase_) {
      case kMakeDir: need(files_.mkdir(folder(next_ + 1), 0755), "mkdir", folders_[next_ + 1]); break;
      case kCreate: make_file(paths_[next_]); break;
      case kStatDir: stat(folders_[next_ + 1]); break;
      case kStat: stat(paths_[next_]); break;
      case kRemove: need(files_.unlink(paths_[next_].c_str()), "unlink", paths_[next_]); break;
      default: {
        const size_t last = folders_.size() - 1 - next_;
        need(files_.rmdir(folder(last)), "rmdir", folders_[last]);
      }
    }
    const bool of_files = phase_ == kCreate || phase_ == kStat || phase_ == kRemove;
    if (++next_ == (of_files ? paths_.size() : folders_.size() - 1)) {
      next_ = 0;
      phase_ = (phase_ + 1) % kPhases;
    }
    return kind;
  }

 private:
  enum Phase : uint8_t { kMakeDir, kCreate, kStatDir, kStat, kRemove, kRemoveDir, kPhases };
  static constexpr unsigned kBranch = 10;
  static constexpr size_t kDepth = 2;
  const char* folder(size_t i) const { return folders_[i].c_str(); }
  void stat(const std::string& path) {
    FileStatus status;
    need(files_.stat(path.c_str(), &status), "stat", path);
  }
  std::vector<std::string> folders_, paths_;
  int phase_ = kMakeDir;
  size_t next_ = 0;
};

// Unpacks a source tree: files of 256 bytes to 256 KiB, half of them below 6 KiB.
class Untar final : public Workload {
 public:
  using Workload::Workload;
  void prepare() override { make_folder(own_folder()); }
  void refill(uint64_t) override {
    files_.remove_tree(own_folder(), false);
    next_ = bytes_ = 0;
  }
  int step() override {
    if (next_ == context_.settings.files * kTimes || bytes_ > context_.settings.size) return kExhausted;
    const std::string folder = own_folder() + "/" + std::to_string(next_ / (kFiles * kFolders));
    const std::string inner = folder + "/" + std::to_string(next_ / kFiles % kFolders);
    if (next_ % (kFiles * kFolders) == 0) need(timed(1, [&] { return files_.mkdir(folder.c_str(), 0755); }), "mkdir", folder);
    if (next_ % kFiles == 0) need(timed(1, [&] { return files_.mkdir(inner.c_str(), 0755); }), "mkdir", inner);
    unpack(inner + "/source-" + std::to_string(next_ % kFiles) + ".c");
    ++next_;
    return 0;
  }

 private:
  static constexpr uint64_t kTimes = 20, kFiles = 16, kFolders = 16;

  void unpack(const std::string& path) {
    const uint64_t bits = 8 + context_.random.below(4) + context_.random.below(4) + context_.random.below(4);
    const uint64_t size = (uint64_t{1} << bits) + context_.random.below(uint64_t{1} << bits);
    const int64_t fd =
        need(timed(2, [&] { return files_.open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600); }), "open", path);
    const int file = static_cast<int>(fd);
    need(timed(3, [&] { return files_.write(file, kZeros, size); }), "write", path);
    need(timed(4, [&] { return files_.close(file); }), "close", path);
    need(timed(5, [&] { return files_.chmod(path.c_str(), 0644); }), "chmod", path);
    need(timed(6, [&] { return files_.set_times(path.c_str(), 1'600'000'000, 1'600'000'000); }), "utime", path);
    bytes_ += size;
    context_.bytes(size);
  }
  uint64_t next_ = 0, bytes_ = 0;
};

// Commits to a repository: looks at every file of the working tree, writes some again, stores objects, and replaces the index
// and a branch by renames.
class Git final : public Workload {
 public:
  using Workload::Workload;
  void prepare() override {
    const std::string top = own_folder();
    for (const char* folder : {"", "/.git", "/.git/objects", "/.git/refs", "/.git/logs", "/src"}) make_folder(top + folder);
    for (unsigned i = 0; i < 256; ++i) make_folder(top + "/.git/objects/" + hex(i, 2));
    for (uint64_t i = 0; i < context_.settings.files; ++i) {
      if (i % kFiles == 0) make_folder(top + "/src/" + std::to_string(i / kFiles));
      paths_.push_back(top + "/src/" + std::to_string(i / kFiles) + "/" + std::to_string(i) + ".c");
      make_file(paths_.back(), kFileBytes);
    }
  }
  void refill(uint64_t) override {
    for (const std::string& path : objects_) (void)files_.unlink(path.c_str());
    objects_.clear();
  }
  int step() override {
    if (objects_.size() >= context_.settings.files * kObjectTimes) return kExhausted;
    const std::string git = own_folder() + "/.git";
    for (unsigned i = 0; i < kChanged; ++i) {
      const std::string& path = paths_[context_.random.below(paths_.size())];
      need(timed(1, [&] { return put(path, O_CREAT | O_TRUNC, kFileBytes, false); }), "write", path);
    }
    for (const std::string& path : paths_) {
      FileStatus status;
      need(timed(2, [&] { return files_.stat(path.c_str(), &status); }), "stat", path);
    }
    for (unsigned i = 0; i < kChanged + 2; ++i) store(git + "/objects/");
    replace(git + "/index", paths_.size() * kIndexBytes);
    replace(git + "/refs/main", kHashBytes);
    const std::string log = git + "/logs/HEAD";
    need(timed(5, [&] { return put(log, O_CREAT | O_APPEND, kLogBytes, false); }), "write", log);
    return 0;
  }

 private:
  static constexpr uint64_t kFiles = 20, kObjectTimes = 20;
  static constexpr unsigned kChanged = 4;
  static constexpr size_t kFileBytes = 3000, kObjectBytes = 1200, kIndexBytes = 80, kHashBytes = 41, kLogBytes = 160;

  static std::string hex(uint64_t value, unsigned digits) {
    std::string text(digits, '0');
    for (unsigned i = digits; i > 0; --i, value /= 16) text[i - 1] = "0123456789abcdef"[value % 16];
    return text;
  }
  int64_t put(const std::string& path, int flags, uint64_t bytes, bool durable) {
    const int fd = files_.open(path.c_str(), O_WRONLY | flags, 0644);
    if (fd < 0) return fd;
    int64_t result = 0;
    for (uint64_t left = bytes; left > 0 && result >= 0; left -= static_cast<uint64_t>(std::max<int64_t>(result, 0))) {
      result = files_.write(fd, kZeros, std::min<uint64_t>(left, sizeof(kZeros)));
    }
    if (result >= 0 && durable) result = timed(6, [&] { return files_.fsync(fd); });
    (void)files_.close(fd);
    if (result >= 0) context_.bytes(bytes);
    return result < 0 ? result : 0;
  }
  void store(const std::string& objects) {
    const std::string temporary = objects + "tmp_obj";
    const std::string folder = objects + hex(context_.random.next() % 256, 2);
    objects_.push_back(folder + "/" + hex(context_.random.next(), 16) + hex(context_.random.next(), 16) + "000000");
    need(timed(3, [&] {
           const int64_t put_result = put(temporary, O_CREAT | O_EXCL, kObjectBytes, context_.settings.fsync);
           return put_result < 0 ? put_result : files_.rename(temporary.c_str(), objects_.back().c_str());
         }), "store of", objects_.back());
  }
  void replace(const std::string& path, uint64_t bytes) {
    const std::string lock = path + ".lock";
    need(timed(4, [&] {
           const int64_t result = put(lock, O_CREAT | O_EXCL, bytes, context_.settings.fsync);
           return result < 0 ? result : files_.rename(lock.c_str(), path.c_str());
         }), "replacement of", path);
  }
  std::vector<std::string> paths_, objects_;
};

constexpr WorkloadInfo kTrees[] = {
    {"mdtest", "tree", Sharing::low, "call on a file or directory of a tree",
     {"mkdir", "create", "stat_dir", "stat", "unlink", "rmdir"}, false, false, true,
     "makes 110 directories, two deep, and --files files in a tree of its own, looks at all, and removes them, again and again",
     make_workload<MdTest>},
    {"untar", "tree", Sharing::low, "file unpacked", {"file", "mkdir", "open", "write", "close", "chmod", "utime"}, false, false,
     false, "unpacks a source tree: directories, files of 256 bytes to 256 KiB, their modes and times; removed, untimed, at --size bytes",
     make_workload<Untar>},
    {"git", "tree", Sharing::low, "commit", {"commit", "edit", "stat", "object", "replace", "log", "fsync"}, false, false, false,
     "in a working tree of --files files: rewrites four, looks at all, stores six objects, replaces the index and a branch",
     make_workload<Git>},
};

}  // namespace

std::span<const WorkloadInfo> tree_workloads() { return kTrees; }

}  // namespace scalefs::bench
