#include "fuse/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "base/log.h"

namespace scalefs::fuse {

void drop_capabilities() {
  if (capng_get_caps_process() != 0) return log_warning("the capabilities of the daemon are not known");
  if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE) return;
  capng_clear(CAPNG_SELECT_CAPS);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) log_warning("the capabilities of the daemon cannot be dropped");
}

void call_without_capabilities(const std::function<void()>& call) {
  std::thread thread([&] {
    drop_capabilities();
    call();
  });
  thread.join();
}

int run_program(const std::string& program, const std::vector<std::string>& words, std::string* output) {
  int ends[2] = {-1, -1};
  if (output != nullptr && ::pipe2(ends, O_CLOEXEC) != 0) return kCannotRun;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (output != nullptr) ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  // The daemon's threads block signals, and it ignores one.
  sigset_t none, reset;
  sigemptyset(&none);
  sigemptyset(&reset);
  sigaddset(&reset, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &reset);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int error =
      ::posix_spawnp(&child, program.c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (output != nullptr) {
    ::close(ends[1]);
    char text[4096];
    const ssize_t got = error == 0 ? ::read(ends[0], text, sizeof(text)) : 0;
    if (got > 0) output->assign(text, static_cast<size_t>(got));
    ::close(ends[0]);
  }
  if (error != 0) return kCannotRun;
  int how = 0;
  while (::waitpid(child, &how, 0) < 0) {
    if (errno != EINTR) return kCannotRun;
  }
  return WIFEXITED(how) ? WEXITSTATUS(how) : kEndedBySignal;
}

}  // namespace scalefs::fuse
