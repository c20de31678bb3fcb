// scalefs-null [-fd] [-o OPT[,OPT...]] MOUNTPOINT: mounts a NullFileSystem, with the options of scalefs that concern the
// transport. Ends when unmounted or by a signal, always in the foreground.
#include <sys/mount.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "fuse/libfuse_transport.h"
#include "fuse/null_file_system.h"
#include "fuse/options.h"
#include "fuse/signals.h"
#include "fuse/startup.h"

namespace scalefs::fuse {
namespace {

int complain(const std::string& text, int status) {
  std::fprintf(stderr, "scalefs-null: %s\n", text.c_str());
  return status;
}

// As the daemon of a volume in memory does it; only unmounting is simpler.
int mount_null(const Options& options, const std::string& mountpoint) {
  Startup startup(true);
  NullFileSystem null;
  std::unique_ptr<LibfuseTransport> transport;
  Mutex mutex;  // what a signal ends is there
  mutex.lock();
  Signals signals([&](int signal) {
    if (signal == SIGUSR1) return;
    MutexLock lock(mutex);
    if (::umount2(mountpoint.c_str(), UMOUNT_NOFOLLOW) != 0) transport->stop();
  });
  TransportOptions wanted = transport_options(options, true, false);
  wanted.on_ready = [&] { startup.ready("serving nothing on " + mountpoint); };
  auto made = LibfuseTransport::create(null, std::move(wanted));
  const bool mounted = made.ok() && (*made)->mount(mountpoint).ok();
  if (mounted) transport = std::move(*made);
  if (!mounted) std::_Exit(complain("cannot mount on " + mountpoint, kExitMountFailed));
  mutex.unlock();
  const bool served = transport->serve().ok();
  transport->unmount();
  return served ? kExitOk : kExitMountFailed;
}

int run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "--memory");
  std::string error;
  const auto options = parse_options("scalefs", arguments, &error);
  if (!options) return complain(error, kExitUsage);
  if (options->action != Options::Action::mount) {
    std::puts("scalefs-null [-d] [-o OPT[,OPT...]] MOUNTPOINT: answers at once, stores nothing; to measure what a mount costs");
    return kExitOk;
  }
  char resolved[PATH_MAX];
  if (::realpath(options->mountpoint.c_str(), resolved) == nullptr) {
    return complain("no mount point " + options->mountpoint, kExitMountFailed);
  }
  return mount_null(*options, resolved);
}

}  // namespace
}  // namespace scalefs::fuse

int main(int argc, char** argv) {
  return scalefs::fuse::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
