#include "fuse/umount_command.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "diskfs/file_device.h"
#include "fuse/helper_note.h"
#include "fuse/inquiry.h"
#include "fuse/mount_table.h"
#include "fuse/mount_users.h"
#include "fuse/privileges.h"
#include "fuse/startup.h"
#include "fuse/sync_command.h"

namespace scalefs::fuse {
namespace {

constexpr size_t kUsersShown = 8;
constexpr int kPatienceMs = 2000;  // before it is said what is waited for

void say(const std::string& text) { std::fprintf(stderr, "umount.scalefs: %s\n", text.c_str()); }

// Linux 6.15: how a process ended that is not one's own child. Absent from Debian 12's headers.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];
  int32_t exit_code;  // as of wait(2)
};
constexpr uint64_t kPidfdInfoExit = 1u << 3;
static_assert(sizeof(PidfdInfo) == 64);

// The daemon behind a mount, named before the unmount, waited for after it.
class Server {
 public:
  explicit Server(const MountEntry& entry) : entry_(entry) {}
  ~Server() {
    if (process_fd_ >= 0) ::close(process_fd_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Makes everything durable and learns who serves. False: what was done since the last commit is not durable, and it
  // has been said why.
  bool prepare();
  // True: everything is written, and the daemon has ended.
  bool wait();

 private:
  bool daemon_is_gone();
  bool wait_for_process();
  bool wait_for_image();
  // The process in whose mount namespace the volume is mounted still; 0: none that can be seen.
  pid_t elsewhere() const;

  const MountEntry entry_;
  int process_fd_ = -1;
  pid_t process_ = 0;
  std::string image_;
  bool gone_ = false;  // before we came
};

bool Server::daemon_is_gone() {
  gone_ = true;
  say(fmt::format("the daemon of {} had ended before; what it had not made durable is lost",
                  entry_.mountpoint));
  return true;
}

// What calls on a mount answer whose daemon is gone, or is just going: the second and third while its requests are given up.
bool tells_of_its_end(int code) { return code == ENOTCONN || code == ECONNABORTED || code == ECANCELED; }

bool Server::prepare() {
  std::string why;
  const auto root = open_volume_root(entry_.mountpoint, &why);
  if (!root.ok()) {
    if (tells_of_its_end(root.code())) return daemon_is_gone();
    return true;  // another reason stops the unmount too, or nobody
  }
  const Status synced = sync_volume(*root);
  const auto facts = inquire_daemon(*root);
  ::close(*root);
  if (tells_of_its_end(synced.code())) return daemon_is_gone();
  if (!synced.ok()) {
    say(fmt::format("not everything on {} could be made durable: {}", entry_.mountpoint,
                    std::strerror(synced.code())));
  }
  if (!facts.ok()) return synced.ok();
  const auto fact = [&](const char* name) {
    const auto found = facts->find(name);
    return found == facts->end() ? std::string() : found->second;
  };
  image_ = fact("image");
  process_ = static_cast<pid_t>(std::atoi(fact("process").c_str()));
  // Its number may be that of another process in this namespace.
  if (process_ > 0 && std::to_string(process_start(process_)) == fact("start")) {
    process_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  }
  return synced.ok();
}

pid_t Server::elsewhere() const {
  for (pid_t process : all_processes()) {
    const auto table = mount_table(process);
    if (std::any_of(table.begin(), table.end(),
                    [&](const MountEntry& e) { return e.device == entry_.device && e.is_scalefs(); })) {
      return process;
    }
  }
  return 0;
}

bool Server::wait_for_process() {
  pollfd ended = {process_fd_, POLLIN, 0};
  int ready = ::poll(&ended, 1, kPatienceMs);
  if (ready == 0) {
    if (const pid_t other = elsewhere(); other != 0) {
      say(fmt::format("{} is unmounted here, but still mounted where process {} sees it: process {} goes on serving it",
                      entry_.mountpoint, other, process_));
      return false;
    }
    say(fmt::format("waiting for process {}, which is writing to {}", process_, image_));
  }
  while (ready <= 0) ready = ::poll(&ended, 1, -1);
  PidfdInfo info = {};
  info.mask = kPidfdInfoExit;
  constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, PidfdInfo);
  const bool known = ::ioctl(process_fd_, kGetInfo, &info) == 0 && (info.mask & kPidfdInfoExit) != 0;
  if (!known || info.exit_code == 0) return true;
  say(fmt::format("the daemon could not write everything to {}: see the system's log, and run fsck.scalefs", image_));
  return false;
}

// For who cannot see the daemon, in another namespace of processes.
bool Server::wait_for_image() {
  diskfs::FileDeviceOptions wanted;
  wanted.read_only = true;
  wanted.lock_wait.wait_ms = uint64_t{24} * 3600 * 1000;
  wanted.lock_wait.waiting = [&](pid_t) { say(fmt::format("waiting for {}, which is being written", image_)); };
  std::string why;
  const auto image = diskfs::FileDevice::open(image_, wanted, &why);
  // Whoever may not read the image does not know.
  if (!image.ok() && image.code() == EBUSY) say(why);
  return image.ok() || image.code() != EBUSY;
}

bool Server::wait() {
  if (gone_) return true;
  const auto table = mount_table();
  const auto other = std::find_if(table.begin(), table.end(), [&](const MountEntry& e) {
    // A new mount may have got the number.
    return e.device == entry_.device && e.source == entry_.source && e.is_scalefs();
  });
  if (other != table.end()) {
    say(fmt::format("the volume is still mounted on {}", other->mountpoint));
    note_umount_helper(entry_.source, other->mountpoint);
    return true;
  }
  if (process_fd_ >= 0) return wait_for_process();
  return image_.empty() || wait_for_image();
}

int unmount(const UmountOptions& options, const MountEntry& entry) {
  std::vector<std::string> words;
  if (::geteuid() == 0) {
    words = {"umount", "-i"};
    if (options.force) words.push_back("-f");
    if (options.lazy) words.push_back("-l");
    if (options.no_table) words.push_back("-n");
    if (options.read_only) words.push_back("-r");
    if (options.verbose) words.push_back("-v");
  } else {
    words = {"fusermount3", "-u"};
    if (options.lazy) words.push_back("-z");
  }
  words.push_back("--");
  words.push_back(entry.mountpoint);
  const int status = run_program(words);
  if (status == kCannotRun) say(fmt::format("cannot run {}", words[0]));
  return status;
}

}  // namespace

bool is_umount_helper(std::string_view program) {
  const size_t slash = program.rfind('/');
  if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
  return program.starts_with("umount.");
}

std::optional<UmountOptions> parse_umount(std::span<const std::string> arguments, std::string* error) {
  UmountOptions options;
  bool only_operands = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (only_operands || word.size() < 2 || word[0] != '-') {
      if (!options.operand.empty()) {
        *error = fmt::format("'{}' is one operand too many", word);
        return std::nullopt;
      }
      options.operand = word;
      continue;
    }
    if (word == "--") {
      only_operands = true;
      continue;
    }
    for (size_t at = 1; at < word.size(); ++at) {
      const char letter = word[at];
      if (letter == 'N' || letter == 't' || letter == 'O') {  // takes a value, of no use here
        if (at + 1 == word.size() && ++i == arguments.size()) {
          *error = fmt::format("-{} needs a value", letter);
          return std::nullopt;
        }
        break;
      }
      switch (letter) {
        case 'f': options.force = true; break;
        case 'l': options.lazy = true; break;
        case 'n': options.no_table = true; break;
        case 'r': options.read_only = true; break;
        case 'v': options.verbose = true; break;
        case 'c': case 'd': case 'i': break;
        default: *error = fmt::format("unknown option '-{}'", letter); return std::nullopt;
      }
    }
  }
  if (options.operand.empty()) {
    *error = "no mount point given";
    return std::nullopt;
  }
  return options;
}

int umount_command(const UmountOptions& options) {
  const auto entry = find_mount(options.operand);
  if (!entry) {
    say(fmt::format("{} is not mounted", options.operand));
    return kExitMountFailed;
  }
  if (!entry->is_scalefs()) {
    say(fmt::format("{} is mounted, but no scalefs volume (it is {}): use umount", entry->mountpoint, entry->type));
    return kExitMountFailed;
  }
  Server server(*entry);
  const bool waits = !options.lazy && !options.force;
  const bool durable = !waits || server.prepare();
  const int status = unmount(options, *entry);
  if (status != 0) {
    if (const auto users = mount_users(entry->mountpoint, kUsersShown); !users.empty()) {
      say(fmt::format("{} is used by {}", entry->mountpoint, describe_users(users)));
    }
    return status;
  }
  if (!find_mount(entry->mountpoint)) forget_umount_helper(entry->mountpoint);
  if (waits && !server.wait()) return kExitMountFailed;
  return durable ? kExitOk : kExitMountFailed;
}

}  // namespace scalefs::fuse
