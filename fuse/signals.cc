#include "fuse/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace scalefs::fuse {

namespace {

sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void Signals::block() {
  const sigset_t set = handled();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Signals(std::function<void(int)> handler) : handler_(std::move(handler)) {
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = handled();
  block();
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  if (signals_ < 0 || stop_ < 0) {
    status_ = Errno(errno);
    return;
  }
  thread_ = std::thread([this] { run(); });
}

Signals::~Signals() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // An eventfd takes eight bytes as long as its count is not full.
    (void)!::write(stop_, &one, sizeof(one));
    thread_.join();
  }
  if (signals_ >= 0) ::close(signals_);
  if (stop_ >= 0) ::close(stop_);
}

void Signals::run() {
  for (;;) {
    pollfd wait[2] = {{signals_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(wait, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if ((wait[1].revents & POLLIN) != 0) return;
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof(info)) == ssize_t{sizeof(info)}) {
      handler_(static_cast<int>(info.ssi_signo));
    }
  }
}

}  // namespace scalefs::fuse
