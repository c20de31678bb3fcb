#include "fuse/daemon.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "diskfs/file_device.h"
#include "fuse/daemon_report.h"
#include "fuse/helper_note.h"
#include "fuse/inquiry.h"
#include "fuse/libfuse_transport.h"
#include "fuse/loop_device.h"
#include "fuse/memory_limit.h"
#include "fuse/mount_table.h"
#include "fuse/mount_users.h"
#include "fuse/operations.h"
#include "fuse/privileges.h"
#include "fuse/signals.h"
#include "fuse/startup.h"

namespace scalefs::fuse {
namespace {

void complain(const std::string& text) { std::fprintf(stderr, "scalefs: %s\n", text.c_str()); }

// Absolute, since the daemon leaves its working folder. nullopt: a message was printed.
std::optional<std::string> find_mountpoint(const std::string& path) {
  char resolved[PATH_MAX];
  struct stat status;
  struct statvfs alive;  // which, unlike attributes, no kernel keeps
  if (::realpath(path.c_str(), resolved) == nullptr || ::statvfs(resolved, &alive) != 0 ||
      ::stat(resolved, &status) != 0) {
    if (errno == ENOENT) {
      complain(fmt::format("mount point '{}' does not exist", path));
    } else if (errno == ENOTCONN || errno == ECONNABORTED) {  // the second while it is being ended
      complain(fmt::format("the daemon of what is mounted on '{0}' is gone: umount '{0}' first",
                           path));
    } else {
      complain(fmt::format("mount point '{}': {}", path, std::strerror(errno)));
    }
    return std::nullopt;
  }
  if (!S_ISDIR(status.st_mode)) {
    complain(fmt::format("mount point '{}' is not a directory", path));
    return std::nullopt;
  }
  return std::string(resolved);
}

constexpr size_t kUsersNamed = 5;

// A few descriptors a processor, whatever the limit was meant for.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_block_device(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
}

// Whether the kernel can mount block devices over FUSE. True where it does not know FUSE yet: it will learn both.
bool kernel_has_fuseblk() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/filesystems", "re"), &std::fclose);
  if (file == nullptr) return false;
  bool fuse = false;
  char line[256];
  while (std::fgets(line, sizeof(line), file.get()) != nullptr) {
    const std::string_view name(line);
    if (name.ends_with("\tfuseblk\n")) return true;
    fuse = fuse || name.ends_with("\tfuse\n");
  }
  return !fuse;
}

// Where the image is mounted at present; empty: nowhere that can be seen.
std::string mounted_on(const std::string& image) {
  char path[PATH_MAX];
  if (::realpath(image.c_str(), path) == nullptr) return {};
  for (const MountEntry& entry : mount_table()) {
    char other[PATH_MAX];
    if (entry.is_scalefs() && entry.source[0] == '/' && ::realpath(entry.source.c_str(), other) != nullptr &&
        std::strcmp(path, other) == 0) {
      return entry.mountpoint;
    }
  }
  return {};
}

class Daemon {
 public:
  Daemon(const Options& options, const WrapDevice& wrap, std::string mountpoint, Startup& startup)
      : options_(options), wrap_(wrap), mountpoint_(std::move(mountpoint)), startup_(startup) {
    uint64_t& cache_bytes = options_.volume.cache_bytes;
    if (cache_bytes == 0)
      cache_bytes = options_.memory ? volume::VolumeOptions().cache_bytes : default_cache_bytes(memory_limit());
  }

  int run();

 private:
  bool open_image();
  bool open_volume();
  void make_operations();
  bool wants_block_mount() const;
  bool add_block_device(std::vector<std::string>& list, std::optional<LoopDevice>& loop);
  // Once; what came of it.
  Status end_volume();
  bool mount();
  bool mount_and_serve();
  void on_signal(int signal);
  void end_by_signal(int signal);
  void log_statistics();
  bool is_uppermost() const;
  // Takes the mount away, with a program's help where this process may not; a busy one only if `lazy`. False: it is
  // busy.
  bool detach(bool lazy);
  std::optional<std::string> answer_inquiry(std::string_view name);
  Report report();

  Options options_;  // changed before the mount is there alone
  const WrapDevice& wrap_;
  const std::string mountpoint_;
  dev_t mounted_device_ = 0;  // by which the kernel's table names the mount; 0: not there to be seen
  Startup& startup_;

  std::string to_note_;     // in the log, once the mount is there
  std::string image_path_;  // from the root, since the daemon leaves its working folder
  std::unique_ptr<diskfs::FileDevice> device_;
  std::unique_ptr<diskfs::BlockDevice> wrapped_;
  std::unique_ptr<volume::Volume> volume_;
  std::unique_ptr<Operations> operations_;
  std::unique_ptr<LibfuseTransport> transport_;
  bool detached_ = false;  // written under mutex_
  // Held while the state changes, and by the handler of a signal, which uses the members above while
  // the state is `serving`.
  enum class State { starting, serving, ending };
  Mutex end_mutex_;
  std::optional<Status> ended_ GUARDED_BY(end_mutex_);
  Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::starting;
};

bool Daemon::open_image() {
  diskfs::FileDeviceOptions wanted;
  wanted.read_only = options_.volume.read_only;
  wanted.claim = true;
  // A fuseblk mount claims the device itself; whether somebody else has it is seen before.
  if (wants_block_mount() && is_block_device(options_.source)) {
    std::string why;
    diskfs::FileDeviceOptions look = wanted;
    look.lock = false;
    if (const auto seen = diskfs::FileDevice::open(options_.source, look, &why); !seen.ok()) {
      complain(why);
      return false;
    }
    wanted.claim = false;
  }
  wanted.lock_wait.waiting = [this](pid_t holder) {
    complain(holder != 0 ? fmt::format("waiting for process {}, which uses {}", holder,
                                       options_.source)
                         : fmt::format("waiting for {}, which is in use", options_.source));
  };
  char absolute[PATH_MAX];
  if (::realpath(options_.source.c_str(), absolute) != nullptr) image_path_ = absolute;
  // Nobody is waited for who does not mean to end.
  const std::string present = mounted_on(options_.source);
  if (!present.empty()) wanted.lock_wait.wait_ms = 0;
  std::string why;
  auto opened = diskfs::FileDevice::open(options_.source, wanted, &why);
  if (!opened.ok()) {
    if (!present.empty()) why += fmt::format(": it is mounted on {}", present);
    complain(why);
    return false;
  }
  device_ = std::move(*opened);
  return true;
}

bool Daemon::open_volume() {
  if (options_.memory) {
    volume_ = volume::Volume::memory(options_.volume);
    return true;
  }
  volume::VolumeOptions wanted = options_.volume;
  if (device_->read_only() && !wanted.read_only) {
    complain(fmt::format("{} cannot be written: mounting it read-only", options_.source));
    wanted.read_only = true;
  }
  if (wrap_) wrapped_ = wrap_(*device_);
  diskfs::BlockDevice& device = wrapped_ ? *wrapped_ : *device_;
  std::string why;
  auto mounted = volume::Volume::mount(device, wanted, &why);
  if (!mounted.ok()) {
    complain(fmt::format("cannot mount {}: {}", options_.source,
                         why.empty() ? std::strerror(mounted.code()) : why));
    return false;
  }
  volume_ = std::move(*mounted);
  return true;
}

void Daemon::make_operations() {
  operations_ = std::make_unique<Operations>(
      *volume_,
      Operations::Settings{.sync_names = options_.sync_names,
                           .writeback_cache = options_.writeback_cache,
                           .owner = ::getuid(),
                           .inquiry = [this](std::string_view name) { return answer_inquiry(name); }});
}

bool Daemon::wants_block_mount() const {
  if (options_.fuseblk) return *options_.fuseblk;
  return !options_.memory && options_.fsname.empty() && ::geteuid() == 0 && kernel_has_fuseblk();
}

// What libfuse needs for a mount of a block device. False: that was asked for, and cannot be.
bool Daemon::add_block_device(std::vector<std::string>& list, std::optional<LoopDevice>& loop) {
  std::string path = image_path_;
  if (!device_->is_block_device()) {
    auto attached = LoopDevice::attach(device_->fd(), volume_->read_only());
    if (!attached.ok()) {
      const char* const why = std::strerror(attached.code());
      if (!options_.fuseblk) {
        to_note_ = fmt::format("there is no loop device for {} ({}): sync(2) does not reach it, and umount(2) does not wait",
                               options_.source, why);
        return true;
      }
      complain(fmt::format("fuseblk: no loop device for {}: {}", options_.source, why));
      return false;
    }
    loop.emplace(std::move(*attached));
    path = loop->path();
  }
  std::erase_if(list, [](const std::string& word) { return word.starts_with("fsname="); });
  list.insert(list.end(), {"blkdev", fmt::format("blksize={}", kBlockBytes), "fsname=" + path});
  options_.fuseblk = true;
  return true;
}

bool Daemon::mount() {
  TransportOptions wanted = transport_options(options_, ::geteuid() == 0, volume_->read_only());
  std::optional<LoopDevice> loop;  // which the mount keeps
  if (wants_block_mount() && !add_block_device(wanted.mount_options, loop)) return false;
  if (!options_.fuseblk) options_.fuseblk = false;
  if (*options_.fuseblk) {
    // The kernel waits for its answer, and who unmounts for the kernel.
    wanted.on_end = [this] { (void)end_volume(); };
  }
  wanted.on_ready = [this] {
    startup_.ready(fmt::format("serving {} on {}", options_.memory ? "a volume in memory" : options_.source,
                               mountpoint_));
    // Only now: a mount that succeeds is silent.
    if (!to_note_.empty()) log_info("{}", to_note_);
    if (!options_.memory && !cycle_is_tsc()) {
      log_info("the processors' time-stamp counters are not known to be synchronised here: operations are ordered by one "
               "shared counter, which costs speed where many processors change things");
    }
  };
  if (options_.on_errors == Options::OnErrors::remount_read_only) {
    wanted.on_damage = [this] { volume_->refuse_changes("reading what is damaged"); };
  }
  auto created = LibfuseTransport::create(*operations_, std::move(wanted));
  if (!created.ok()) return false;
  transport_ = std::move(*created);
  if (!transport_->mount(mountpoint_).ok()) {
    complain(fmt::format("cannot mount on {}", mountpoint_));
    return false;
  }
  if (const auto entry = find_mount(mountpoint_); entry && entry->mountpoint == mountpoint_)
    mounted_device_ = entry->device;
  note_umount_helper(loop ? loop->path() : options_.memory ? "scalefs-memory" : options_.source, mountpoint_);
  return true;
}

void Daemon::log_statistics() {
  const volume::Statistics s = volume_->statistics();
  log_info(
      "fsyncs {} commits {} operations {} absorbed {} batches {} of {} bytes flushes {} checkpoints {} "
      "log {} bytes pages {} bytes dirty {} bytes mnodes {}",
      s.fsyncs, s.commits, s.operations_committed, s.absorbed, s.disk.batches, s.disk.batch_bytes,
      s.disk.flushes, s.disk.checkpoints, s.log_bytes, s.memory.page_bytes, s.memory.dirty_bytes,
      s.memory.mnodes);
}

Report Daemon::report() {
  return {.options = options_,
          .mountpoint = mountpoint_,
          .volume = *volume_,
          .requests = transport_->stats(),
          .over_rings = transport_->over_rings()};
}

std::optional<std::string> Daemon::answer_inquiry(std::string_view name) {
  if (name == kInquiryDaemon) return daemon_facts(options_, image_path_, *volume_);
  if (name == kInquiryStatistics) return report_text(report());
  if (name == kInquiryStatisticsJson) return report_json(report());
  return std::nullopt;
}

// What lies uppermost at the mount point. Asks the kernel's table alone.
bool Daemon::is_uppermost() const {
  if (mounted_device_ == 0) return true;  // it could not be seen
  const auto table = mount_table();
  const auto found = std::find_if(table.rbegin(), table.rend(), [&](const MountEntry& entry) {
    return entry.mountpoint == mountpoint_;
  });
  return found != table.rend() && found->device == mounted_device_;
}

bool Daemon::detach(bool lazy) {
  if (::umount2(mountpoint_.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) {
    forget_umount_helper(mountpoint_);
    return true;
  }
  if (errno != EPERM) return false;
  std::vector<std::string> words;
  if (::geteuid() == 0) {
    words = {"umount", "-i", "-q"};
    if (lazy) words.push_back("-l");
  } else {
    words = {"fusermount3", "-u", "-q"};
    if (lazy) words.push_back("-z");
  }
  words.push_back("--");
  words.push_back(mountpoint_);
  const int status = run_program(words);
  if (status == kCannotRun) log_error("{} cannot be run: {} stays mounted", words[0], mountpoint_);
  return status == 0;
}

// Unmounting goes by the kernel, as if from outside: it waits for nobody, and what it still holds
// (pages dirtied through mmap) is written on the way. A mount that is in use is taken from the tree,
// and its users get errors, as from a disk that is gone.
void Daemon::end_by_signal(int signal) {
  log_info("ending by signal {}", signal);
  notify_service_manager("STOPPING=1\nSTATUS=writing what is left");
  if (!volume_->sync().ok()) log_error("not everything could be made durable");
  if (!is_uppermost()) {
    // Unmounted, lazily perhaps, or something else was mounted over it: that is not ours to take away.
    log_warning("{} does not show this volume any more: who still uses it will see errors", mountpoint_);
    detached_ = true;
    transport_->stop();
    return;
  }
  if (detach(false)) {
    detached_ = true;
    return;
  }
  log_warning("{} is in use{}: its users will see errors", mountpoint_,
              [this] {
                const std::string users = describe_users(mount_users(mountpoint_, kUsersNamed));
                return users.empty() ? users : " by " + users;
              }());
  const int root = ::open(mountpoint_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root >= 0) {
    if (::syncfs(root) != 0) log_error("not all pages of open files could be written");
    ::close(root);
  }
  detached_ = detach(true);
  transport_->stop();
}

void Daemon::on_signal(int signal) {
  MutexLock lock(mutex_);
  switch (state_) {
    case State::starting:
      // Recovery can be broken off anywhere, as by a crash.
      if (signal != SIGUSR1) ::_exit(kExitMountFailed);
      return;
    case State::serving:
      if (signal == SIGUSR1) {
        log_statistics();
      } else {
        end_by_signal(signal);
      }
      return;
    case State::ending:
      return;
  }
}

bool Daemon::mount_and_serve() {
  {
    // From the mount on a signal means to unmount: it waits until that is possible.
    MutexLock lock(mutex_);
    if (!mount()) return false;
    drop_capabilities();
    state_ = State::serving;
  }
  const Status served = transport_->serve();
  MutexLock lock(mutex_);
  state_ = State::ending;
  if (served.ok() && !detached_) {
    transport_->unmount();
    return true;
  }
  transport_->let_go();
  if (!served.ok()) {
    log_error("the kernel's requests cannot be served: {}", std::strerror(served.code()));
    // Behind let_go(): who takes a mount away may ask about it, and would wait for an answer.
    if (!detached_ && is_uppermost()) detached_ = detach(true);
  }
  return served.ok();
}

Status Daemon::end_volume() {
  MutexLock lock(end_mutex_);
  if (!ended_) ended_ = volume_->unmount();
  return *ended_;
}

int Daemon::run() {
  // The image may lie on a file system that waits, when memory is short, for pages of our own mount to
  // be written: tell the kernel that this process must not wait for that. Needs privileges.
  (void)::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  raise_descriptor_limit();
  Signals::block();
  // The image is opened and the mount made with what permissions there are; all threads but this one, which drops its
  // own once the mount is there, begin without.
  std::optional<Signals> signals;
  call_without_capabilities([&] { signals.emplace([this](int signal) { on_signal(signal); }); });
  if (!signals->status().ok()) {
    complain("out of file descriptors");
    return kExitMountFailed;
  }
  if (!options_.memory && !open_image()) return kExitMountFailed;
  bool opened = false;
  call_without_capabilities([&] {
    opened = open_volume();
    if (opened) make_operations();
  });
  if (!opened) return kExitMountFailed;
  int status = mount_and_serve() ? kExitOk : kExitMountFailed;
  if (operations_ != nullptr) operations_->finish();
  if (!end_volume().ok()) {
    log_error("{} could not be written completely", options_.source);
    status = kExitMountFailed;
  }
  // Whatever was parked has been answered, into the void if need be.
  transport_.reset();
  operations_.reset();
  volume_.reset();
  wrapped_.reset();
  device_.reset();
  return status;
}

}  // namespace

int run_daemon(const Options& options, const WrapDevice& wrap) {
  const auto mountpoint = find_mountpoint(options.mountpoint);
  if (!mountpoint) return kExitMountFailed;
  if (options.nofail && !options.memory && ::access(options.source.c_str(), F_OK) != 0 && errno == ENOENT) {
    return kExitOk;
  }
  Startup startup(options.foreground);
  const Status forked = startup.fork_daemon();
  if (!forked.ok()) {
    complain(fmt::format("cannot start the daemon: {}", std::strerror(forked.code())));
    return kExitMountFailed;
  }
  return Daemon(options, wrap, *mountpoint, startup).run();
}

}  // namespace scalefs::fuse
