// dbench: makes the calls that dbench 4 makes for each line of a load file. Names are looked for before each call on them,
// as Samba does it: by stat, and where that fails by reading the directory.
#include <fcntl.h>
#include <strings.h>

#include <cerrno>
#include <cstring>

#include "bench/worker/dbench_load.h"
#include "bench/worker/workload.h"

namespace scalefs::bench {
namespace {

constexpr uint64_t kDirectory = 0x1;                             // of the options of NTCreateX
constexpr uint64_t kCreate = 2, kOverwrite = 4, kOverwriteIf = 5;  // its dispositions
constexpr char kXattr[] = "user.DosAttrib";
constexpr size_t kXattrBytes = 44;

class Dbench final : public Workload {
 public:
  explicit Dbench(Context& context)
      : Workload(context), load_(*context.load), tables_(load_.tables), reader_(load_.file, &tables_, &problems_),
        open_(tables_.handle_index.size()), zeros_(tables_.transfer_bytes_max), memory_(tables_.transfer_bytes_max) {
    for (std::string name : tables_.names) {
      const std::string own = "client" + std::to_string(context.index);
      for (size_t at = 0; (at = name.find("client1", at)) != std::string::npos; at += own.size()) name.replace(at, 7, own);
      names_.push_back(context.top + name);
    }
  }

  void begin() override { pass_ns_ = now_ns(); }
  uint64_t steps_of_one() const override { return load_.lines.size(); }

  int step() override {
    if (next_ == load_.lines.size()) {
      next_ = 0;
      pass_ns_ = now_ns();
    }
    const DbenchLoad::Line& line = load_.lines[next_++];
    const std::string_view text = load_.text;
    (void)reader_.read(text.substr(line.offset, line.bytes), line.number, &operation_);
    if (op_->after_us != 0) wait_until(pass_ns_ + op_->after_us * 1000);
    run();
    return static_cast<int>(op_->call);
  }

 private:
  struct Open {
    int fd = -1;
    uint32_t name = 0;
  };

  void run() {
    const std::string& name = names_[op_->name];
    switch (op_->call) {
      case DbenchCall::NTCreateX: return create(name);
      case DbenchCall::Close: return close_handle();
      case DbenchCall::Rename: return rename(name, names_[op_->target]);
      case DbenchCall::Unlink: return remove("Unlink", name, true);
      case DbenchCall::Rmdir: return remove("Rmdir", name, false);
      case DbenchCall::Deltree: return delete_files(name);
      case DbenchCall::Mkdir:
        resolve(name);
        return void(files_.mkdir(name.c_str(), 0777));
      case DbenchCall::Qpathinfo: return resolve(name);
      case DbenchCall::Qfileinfo: {
        FileStatus status;
        (void)files_.fstat(fd(), &status);
        return xattr_read(fd(), nullptr);
      }
      case DbenchCall::Qfsinfo: return void(files_.statfs(context_.top.c_str()));
      case DbenchCall::Sfileinfo: return set_times();
      case DbenchCall::Find: return find(name);
      case DbenchCall::WriteX: return write();
      case DbenchCall::ReadX: return read();
      case DbenchCall::LockX: return void(files_.lock(fd(), Lock::exclusive, op_->numbers[0], op_->numbers[1]));
      case DbenchCall::UnlockX: return void(files_.lock(fd(), Lock::none, op_->numbers[0], op_->numbers[1]));
      case DbenchCall::Flush: return void(files_.fsync(fd()));
      case DbenchCall::Sleep: return wait_until(now_ns() + op_->numbers[0] * 1000);
    }
  }

  static void wait_until(uint64_t ns) {
    const uint64_t now = now_ns();
    if (ns > now) pause_ns(ns - now);
  }
  [[noreturn]] void differs(const char* call, int64_t result) {
    throw Failure{load_.file + ":" + std::to_string(op_->line) + ": " + call + " " + names_[op_->name] + ": " +
                  (result < 0 ? std::strerror(static_cast<int>(-result)) : "success") + ", which the load file does not expect"};
  }
  int fd() const { return open_[op_->handle].fd; }

  void resolve(const std::string& name) {
    FileStatus status;
    if (files_.stat(name.c_str(), &status) == 0) return xattr_read(-1, name.c_str());
    if (context_.settings.no_resolve) return;
    const size_t slash = name.rfind('/');
    folder_.assign(name, 0, slash);
    if (files_.open_listing(folder_.c_str()) != 0) return;
    while (const char* entry = files_.next_entry()) {
      if (::strcasecmp(entry, name.c_str() + slash + 1) == 0) break;
    }
    files_.close_listing();
  }

  void create(const std::string& name) {
    resolve(name);
    int flags = O_RDWR | (context_.settings.sync_open ? O_SYNC : 0);
    const uint64_t disposition = op_->numbers[1];
    if (disposition == kCreate) flags |= O_CREAT;
    if (disposition == kOverwrite || disposition == kOverwriteIf) flags |= O_CREAT | O_TRUNC;
    if ((op_->numbers[0] & kDirectory) != 0) {
      (void)files_.mkdir(name.c_str(), 0700);
      flags = O_RDONLY | O_DIRECTORY;
    }
    int made = files_.open(name.c_str(), flags, 0600);
    if (made == -EISDIR) made = files_.open(name.c_str(), O_RDONLY | O_DIRECTORY, 0600);
    if ((made >= 0) != op_->succeeds) ++context_.record.unexpected;
    if (made < 0) return;
    if (!op_->succeeds) return void(files_.close(made));
    Open& slot = open_[op_->handle];
    if (slot.fd >= 0) (void)files_.close(slot.fd);  // left open by the pass before
    slot = {made, op_->name};
    FileStatus status;
    if (files_.fstat(made, &status) == 0 && !status.directory) xattr_write(made);
  }
  void close_handle() {
    Open& slot = open_[op_->handle];
    if (slot.fd >= 0) (void)files_.close(slot.fd);
    slot.fd = -1;
  }
  void rename(const std::string& from, const std::string& to) {
    resolve(from);
    resolve(to);
    const int result = files_.rename(from.c_str(), to.c_str());
    if ((result == 0) != op_->succeeds) differs("Rename", result);
    sync_folder_of(to);
  }
  void remove(const char* call, const std::string& name, bool file) {
    resolve(name);
    const int result = file ? files_.unlink(name.c_str()) : files_.rmdir(name.c_str());
    if ((result == 0) != op_->succeeds) differs(call, result);
    sync_folder_of(name);
  }
  // As dbench does it, directories stay.
  void delete_files(const std::string& folder) {
    if (files_.open_listing(folder.c_str()) != 0) return;
    std::vector<std::string> found;
    while (const char* entry = files_.next_entry()) {
      if (std::strcmp(entry, ".") != 0 && std::strcmp(entry, "..") != 0) found.push_back(folder + "/" + entry);
    }
    files_.close_listing();
    for (const std::string& name : found) {
      FileStatus status;
      if (files_.stat(name.c_str(), &status) != 0) continue;
      if (status.directory) delete_files(name);
      if (!status.directory) (void)files_.unlink(name.c_str());
    }
  }
  void sync_folder_of(const std::string& name) {
    if (!context_.settings.sync_dir) return;
    folder_.assign(name, 0, name.rfind('/'));
    const int dir = files_.open(folder_.c_str(), O_RDONLY, 0);
    if (dir < 0) return;
    need(files_.fdatasync(dir), "fdatasync", folder_);
    (void)files_.close(dir);
  }
  void set_times() {
    xattr_read(fd(), nullptr);
    FileStatus status;
    (void)files_.fstat(fd(), &status);
    (void)files_.set_times(names_[open_[op_->handle].name].c_str(), status.atime_s - 10, status.mtime_s - 12);
    if (!status.directory) xattr_write(fd());
  }
  void find(const std::string& name) {
    resolve(name);
    if (name.find_first_of("<>*?\"") == std::string::npos) return;
    folder_.assign(name, 0, name.rfind('/'));
    if (files_.open_listing(folder_.c_str()) != 0) return;
    for (uint64_t most = op_->numbers[1]; most > 0 && files_.next_entry() != nullptr; --most) {
    }
    files_.close_listing();
  }
  void write() {
    const uint64_t bytes = op_->numbers[1];
    const int64_t done = files_.pwrite(fd(), zeros_.data(), bytes, op_->numbers[0]);
    if (done != static_cast<int64_t>(op_->numbers[2])) differs("WriteX", done);
    if (context_.settings.fsync) need(files_.fsync(fd()), "fsync", names_[open_[op_->handle].name]);
    context_.bytes(bytes);
  }
  void read() {
    const uint64_t bytes = op_->numbers[1];
    const int64_t done = files_.pread(fd(), memory_.data(), bytes, op_->numbers[0]);
    if (done != static_cast<int64_t>(op_->numbers[2])) ++context_.record.unexpected;
    context_.bytes(bytes);
  }
  void xattr_read(int fd, const char* name) {
    char value[kXattrBytes];
    if (context_.settings.xattr) (void)files_.get_xattr(fd, name, kXattr, value, sizeof(value));
  }
  void xattr_write(int fd) {
    if (!context_.settings.xattr) return;
    xattr_read(fd, nullptr);
    char value[kXattrBytes] = {};
    const uint64_t now = context_.random.percent(20) ? pass_ns_ : now_ns();
    std::memcpy(value, &now, sizeof(now));
    need(files_.set_xattr(fd, kXattr, value, sizeof(value)), "fsetxattr", names_[op_->name]);
  }

  const DbenchLoad& load_;
  DbenchTables tables_;
  LoadProblems problems_;  // none: the file has been read before
  DbenchReader reader_;
  std::vector<std::string> names_;
  std::vector<Open> open_;
  const std::vector<char> zeros_;
  std::vector<char> memory_;
  std::string folder_;
  DbenchOp operation_ = {};
  const DbenchOp* const op_ = &operation_;
  size_t next_ = 0;
  uint64_t pass_ns_ = 0;
};

constexpr WorkloadInfo kDbench[] = {
    {"dbench", "application", Sharing::low, "operation of the load file",
     {"NTCreateX", "Close", "Rename", "Unlink", "Deltree", "Rmdir", "Mkdir", "Qpathinfo", "Qfileinfo", "Qfsinfo", "Sfileinfo",
      "Find", "WriteX", "ReadX", "LockX", "UnlockX", "Flush", "Sleep"},
     false, false, false, "what dbench 4 does for --load-file: a file server's client in a directory of its own; --count counts passes",
     make_workload<Dbench>},
};

}  // namespace

std::span<const WorkloadInfo> dbench_workloads() { return kDbench; }

}  // namespace scalefs::bench
