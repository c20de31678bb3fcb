#include <fuse_lowlevel.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "fuse/daemon.h"
#include "fuse/options.h"
#include "fuse/startup.h"
#include "fuse/sync_command.h"

namespace scalefs::fuse {
namespace {

// A mounted file system takes no second daemon; the kernel's part of a remount is mount(8)'s.
int remount(const Options& options) {
  const char* const words[] = {"mount", "-i", "-o", options.remount_options.c_str(),
                               options.mountpoint.c_str(), nullptr};
  ::execvp(words[0], const_cast<char* const*>(words));
  std::fprintf(stderr, "scalefs: cannot run mount: %s\n", std::strerror(errno));
  return kExitMountFailed;
}

int run(const char* program, const std::vector<std::string>& arguments) {
  std::string error;
  const auto options = parse_options(program, arguments, &error);
  if (!options) {
    std::fprintf(stderr, "scalefs: %s\nscalefs -h shows the usage\n", error.c_str());
    return kExitUsage;
  }
  switch (options->action) {
    case Options::Action::help:
      std::fputs(help_text().c_str(), stdout);
      return kExitOk;
    case Options::Action::version:
      std::printf("scalefs %s (libfuse %s)\n", SCALEFS_VERSION, fuse_pkgversion());
      return kExitOk;
    case Options::Action::nothing:
      return kExitOk;
    case Options::Action::sync:
      return sync_command(options->mountpoint);
    case Options::Action::remount:
      return remount(*options);
    case Options::Action::mount:
      break;
  }
  return run_daemon(*options);
}

}  // namespace
}  // namespace scalefs::fuse

int main(int argc, char** argv) {
  try {
    const char* program = argc > 0 ? argv[0] : "scalefs";
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    return scalefs::fuse::run(program, arguments);
  } catch (const std::bad_alloc&) {
    std::fputs("scalefs: out of memory\n", stderr);
    return scalefs::fuse::kExitMountFailed;
  }
}
