// How the process that the user called learns whether the mount is there. In the background a child
// does everything and the parent waits for its word, so that the exit status tells of the mount and
// messages go to the caller's terminal until then.
//
// Must be used before any thread is started.
#pragma once

#include <string>

#include "base/result.h"

namespace scalefs::fuse {

// Exit statuses, those of mount(8).
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 1;
inline constexpr int kExitMountFailed = 32;

class Startup {
 public:
  // In the foreground nothing is forked.
  explicit Startup(bool foreground) : foreground_(foreground) {}
  ~Startup();
  Startup(const Startup&) = delete;
  Startup& operator=(const Startup&) = delete;

  // Forks. The parent does not return from this: it waits and exits with the status that the child
  // tells, or with kExitMountFailed and a message when the child ends without a word.
  Status fork_daemon();

  // Child: the mount is there. Leaves the terminal (session, standard files, working folder, log to
  // syslog), lets the parent exit with 0, and tells a service manager that asked (NOTIFY_SOCKET), with
  // `status` for people. Any thread, once.
  void ready(const std::string& status);

 private:
  const bool foreground_;
  int pipe_ = -1;  // the child's end
};

// sd_notify(3): does nothing when nobody asked.
void notify_service_manager(const std::string& state);

}  // namespace scalefs::fuse
