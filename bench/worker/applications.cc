// What programs do: delivering mail, small files and large ones, logs made durable, source trees, commits of git.
#include <fcntl.h>

#include <cstring>

#include "bench/worker/workload.h"

namespace scalefs::bench {
namespace {

// Delivers messages as qmail does: into the spool, durable, renamed; then into a mailbox, durable, renamed, and the
// mailbox's directory made durable.
class Mail final : public Workload {
 public:
  Mail(Context& context, Sharing sharing)
      : Workload(context), folder_(context.top + "/mail" + std::to_string(sharing == Sharing::low ? context.index : 0)) {
    const std::string own = std::to_string(context.index) + "-";
    for (const char* place : {"/spool/pid", "/spool/mess", "/box/tmp/", "/box/new/"}) names_.emplace_back(folder_ + place + own);
  }

  void prepare() override {
    make_folder(folder_);
    for (const char* place : {"/spool", "/box", "/box/tmp", "/box/new"}) make_folder(folder_ + place);
  }
  void begin() override { new_fd_ = open(folder_ + "/box/new", O_RDONLY | O_DIRECTORY); }
  void refill(uint64_t) override {
    for (uint64_t i = 0; i < next_; ++i) need(files_.unlink(names_[kNew].with(i)), "unlink", names_[kNew].text());
    next_ = 0;
  }
  int step() override {
    if (next_ == context_.settings.files * kMailboxTimes) return kExhausted;
    put(kPid, kMess);
    const char* const message = names_[kMess].with(next_);
    need(timed(5, [&] { return read_message(message); }), "read", message);
    put(kTmp, kNew);
    need(timed(3, [&] { return files_.fsync(new_fd_); }), "fsync", folder_);
    need(timed(6, [&] { return files_.unlink(message); }), "unlink", message);
    ++next_;
    context_.bytes(2 * kMessageBytes);
    return 0;
  }

 private:
  enum Place : uint8_t { kPid, kMess, kTmp, kNew };
  static constexpr uint64_t kMailboxTimes = 20;
  static constexpr size_t kMessageBytes = 1024;

  void put(Place from, Place to) {
    const char* const path = names_[from].with(next_);
    const int64_t fd = need(timed(1, [&] { return files_.open(path, O_CREAT | O_EXCL | O_WRONLY, 0600); }), "open", path);
    const int file = static_cast<int>(fd);
    need(timed(2, [&] { return files_.write(file, kZeros, kMessageBytes); }), "write", path);
    need(timed(3, [&] { return files_.fsync(file); }), "fsync", path);
    need(files_.close(file), "close", path);
    need(timed(4, [&] { return files_.rename(path, names_[to].with(next_)); }), "rename", path);
  }
  int64_t read_message(const char* path) {
    const int fd = files_.open(path, O_RDONLY, 0);
    if (fd < 0) return fd;
    char message[kMessageBytes];
    const int64_t got = files_.pread(fd, message, sizeof(message), 0);
    (void)files_.close(fd);
    return got;
  }
  const std::string folder_;
  std::vector<Name> names_;
  int new_fd_ = -1;
  uint64_t next_ = 0;
};

// Rounds of creating, reading and removing files of 1 KiB in a hundred directories.
class Small final : public Workload {
 public:
  Small(Context& context, Sharing sharing)
      : Workload(context), files_of_round_(context.settings.files),
        folder_(context.top + "/small" + std::to_string(sharing == Sharing::low ? context.index : 0)) {
    for (unsigned i = 0; i < kFolders; ++i) {
      names_.emplace_back(folder_ + "/" + std::to_string(i) + "/f" + std::to_string(context.index) + "-");
    }
  }
  void prepare() override {
    make_folder(folder_);
    for (unsigned i = 0; i < kFolders; ++i) make_folder(folder_ + "/" + std::to_string(i));
  }
  int step() override {
    const int kind = phase_;
    const char* const path = names_[next_ % kFolders].with(next_);
    if (phase_ == 0) create(path);
    if (phase_ == 1) read(path);
    if (phase_ == 2) need(files_.unlink(path), "unlink", path);
    if (++next_ == files_of_round_) {
      next_ = 0;
      phase_ = (phase_ + 1) % 3;
    }
    return kind;
  }

 private:
  static constexpr unsigned kFolders = 100;
  static constexpr size_t kBytes = 1024;
  void create(const char* path) {
    const auto fd = static_cast<int>(need(files_.open(path, O_CREAT | O_EXCL | O_RDWR, 0644), "open", path));
    need(files_.write(fd, kZeros, kBytes), "write", path);
    if (context_.settings.fsync) need(timed(3, [&] { return files_.fsync(fd); }), "fsync", path);
    need(files_.close(fd), "close", path);
    context_.bytes(kBytes);
  }
  void read(const char* path) {
    const auto fd = static_cast<int>(need(files_.open(path, O_RDONLY, 0), "open", path));
    char memory[kBytes];
    need(files_.pread(fd, memory, sizeof(memory), 0), "read", path);
    need(files_.close(fd), "close", path);
    context_.bytes(kBytes);
  }
  const uint64_t files_of_round_;
  const std::string folder_;
  std::vector<Name> names_;
  int phase_ = 0;
  uint64_t next_ = 0;
};

// A large file: written, made durable, read, overwritten and read at random places, in 4 KiB.
class Large final : public Workload {
 public:
  explicit Large(Context& context)
      : Workload(context), path_(context.top + "/large" + std::to_string(context.index)),
        pages_(std::max<uint64_t>(1, context.settings.size / kPageBytes)) {}
  void begin() override {
    fd_ = open(path_, O_CREAT | O_RDWR | (context_.settings.direct ? O_DIRECT : 0) | (context_.settings.sync_open ? O_SYNC : 0));
  }
  int step() override {
    const int kind = phase_;
    const bool writes = phase_ == 0 || phase_ == 2;
    const uint64_t page = phase_ < 2 ? next_ : context_.random.below(pages_);
    const uint64_t offset = page * kPageBytes;
    const int64_t done =
        writes ? files_.pwrite(fd_, memory_, kPageBytes, offset) : files_.pread(fd_, memory_, kPageBytes, offset);
    need(done, writes ? "pwrite" : "pread", path_);
    context_.bytes(kPageBytes);
    if (++next_ == pages_) {
      next_ = 0;
      if (writes) need(timed(4, [&] { return files_.fsync(fd_); }), "fsync", path_);
      phase_ = (phase_ + 1) % 4;
      if (phase_ == 0) need(files_.truncate(path_.c_str(), 0), "truncate", path_);
    }
    return kind;
  }

 private:
  const std::string path_;
  const uint64_t pages_;
  alignas(kPageBytes) char memory_[kPageBytes] = {};
  int fd_ = -1;
  int phase_ = 0;
  uint64_t next_ = 0;
};

// Appends short records to a log and makes each durable.
class Storm final : public Workload {
 public:
  explicit Storm(Context& context) : Workload(context), path_(context.top + "/log" + std::to_string(context.index)) {}
  void refill(uint64_t) override {
    if (fd_ >= 0) close(fd_);
    fd_ = open(path_, O_CREAT | O_TRUNC | O_RDWR);
    bytes_ = 0;
  }
  int step() override {
    if (bytes_ + kBytes > context_.settings.size) return kExhausted;
    need(timed(1, [&] { return files_.write(fd_, kZeros, kBytes); }), "write", path_);
    need(timed(2, [&] { return files_.fsync(fd_); }), "fsync", path_);
    bytes_ += kBytes;
    context_.bytes(kBytes);
    return 0;
  }

 private:
  static constexpr size_t kBytes = 512;
  const std::string path_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

constexpr const char* kSmall = "create (with 1 KiB), read or removal of a file";

constexpr WorkloadInfo kApplications[] = {
    {"mailbench", "application", kLow, "message delivered",
     {"message", "open", "write", "fsync", "rename", "read", "unlink"}, false, false, true,
     "spools a message of 1 KiB (write, fsync, rename), reads it, delivers it to a mailbox (write, fsync, rename, fsync of the "
     "directory) and takes it from the spool; spool and mailbox of its own",
     make_shared_workload<Mail, kLow>},
    {"mailbench-shared", "application", kMedium, "message delivered",
     {"message", "open", "write", "fsync", "rename", "read", "unlink"}, false, false, true,
     "mailbench with one spool and one mailbox for all", make_shared_workload<Mail, kMedium>},
    {"smallfile", "application", kLow, kSmall, {"create", "read", "unlink", "fsync"}, false, false, false,
     "rounds of creating, reading and removing --files files in 100 directories of its own", make_shared_workload<Small, kLow>},
    {"smallfile-shared", "application", kMedium, kSmall, {"create", "read", "unlink", "fsync"}, false, false, false,
     "smallfile in 100 directories that all use", make_shared_workload<Small, kMedium>},
    {"largefile", "application", kLow, "transfer of 4 KiB", {"write", "read", "overwrite", "read_random", "fsync"}, false, false,
     false, "writes a file of --size bytes, makes it durable, reads it, overwrites and reads it at random places",
     make_workload<Large>},
    {"fsync", "application", kLow, "append of 512 bytes and fsync", {"append+fsync", "write", "fsync"}, false, false, true,
     "appends to a log of its own and makes each record durable, all at once", make_workload<Storm>},
};

}  // namespace

std::span<const WorkloadInfo> application_workloads() { return kApplications; }

}  // namespace scalefs::bench
