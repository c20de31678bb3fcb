#include "fuse/startup.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"

namespace scalefs::fuse {
namespace {

[[noreturn]] void wait_for_child(int pipe, pid_t child) {
  unsigned char status = kExitMountFailed;
  ssize_t got;
  do {
    got = ::read(pipe, &status, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) ::_exit(status);
  int how = 0;
  while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(how)) {
    std::fprintf(stderr, "scalefs: the daemon was ended by signal %d (%s) before it had mounted\n",
                 WTERMSIG(how), strsignal(WTERMSIG(how)));
    ::_exit(kExitMountFailed);
  }
  // It has said why.
  ::_exit(WIFEXITED(how) && WEXITSTATUS(how) != 0 ? WEXITSTATUS(how) : kExitMountFailed);
}

void leave_terminal() {
  ::setsid();
  if (::chdir("/") != 0) log_warning("cannot leave the working folder");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  log_to_syslog("scalefs");
  std::fflush(nullptr);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  if (null > STDERR_FILENO) ::close(null);
}

}  // namespace

Startup::~Startup() {
  if (pipe_ >= 0) ::close(pipe_);
}

Status Startup::fork_daemon() {
  if (foreground_) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Errno(errno);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    const int code = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    return Errno(code);
  }
  if (child > 0) {
    ::close(ends[1]);
    wait_for_child(ends[0], child);
  }
  ::close(ends[0]);
  pipe_ = ends[1];
  return {};
}

void Startup::ready(const std::string& status) {
  if (!foreground_) {
    leave_terminal();
    const unsigned char ok = kExitOk;
    if (::write(pipe_, &ok, 1) != 1) log_warning("the process that mounted is gone");
    ::close(pipe_);
    pipe_ = -1;
  }
  notify_service_manager("READY=1\nSTATUS=" + status);
}

void notify_service_manager(const std::string& state) {
  const int result = ::sd_notify(0, state.c_str());
  if (result < 0) log_warning("the service manager cannot be told '{}': {}", state, std::strerror(-result));
}

}  // namespace scalefs::fuse
