#include <fuse_lowlevel.h>

#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "fuse/daemon.h"
#include "fuse/options.h"
#include "fuse/remount_command.h"
#include "fuse/shutdown_mode.h"
#include "fuse/startup.h"
#include "fuse/stat_command.h"
#include "fuse/sync_command.h"
#include "fuse/umount_command.h"

namespace scalefs::fuse {
namespace {

int run_umount(const std::vector<std::string>& arguments) {
  std::string error;
  const auto options = parse_umount(arguments, &error);
  if (options) return umount_command(*options);
  std::fprintf(stderr, "umount.scalefs: %s\n"
               "usage: umount.scalefs [-flnrv] [-N NAMESPACE] [-t TYPE] MOUNTPOINT\n", error.c_str());
  return kExitUsage;
}

int run(const std::string& program, const std::vector<std::string>& arguments) {
  if (is_umount_helper(program)) return run_umount(arguments);
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
    case Options::Action::stat:
      return stat_command(options->mountpoint, options->json);
    case Options::Action::remount:
      return remount_command(*options);
    case Options::Action::mount:
      break;
  }
  return run_daemon(*options);
}

}  // namespace
}  // namespace scalefs::fuse

#ifdef __SANITIZE_ADDRESS__
// libfuse frees its copy of the mount point's name only where it takes the mount away itself.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:fuse_session_mount\n"; }
#endif

int main(int argc, char** argv) {
  try {
    const std::string program = argc > 0 ? argv[0] : "scalefs";
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    if (program == scalefs::fuse::kReadMemoryProgram) return scalefs::fuse::read_memory_command(arguments);
    return scalefs::fuse::run(program, arguments);
  } catch (const std::bad_alloc&) {
    std::fputs("scalefs: out of memory\n", stderr);
    return scalefs::fuse::kExitMountFailed;
  }
}
