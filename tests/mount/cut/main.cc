// The daemon over a device that loses what was not flushed when the daemon is killed (cut_device.h). Takes the
// command line of scalefs, and from the environment:
//   SCALEFS_CUT_SEED          which blocks are written early
//   SCALEFS_CUT_LOSE_FLUSHES  flushes do nothing: the test must see it
#include <cstdio>
#include <cstdlib>

#include "fuse/daemon.h"
#include "fuse/startup.h"
#include "tests/mount/cut/cut_device.h"

int main(int argc, char** argv) {
  using namespace scalefs;
  std::string error;
  const auto options =
      fuse::parse_options("scalefs", std::vector<std::string>(argv + 1, argv + argc), &error);
  if (!options || options->action != fuse::Options::Action::mount) {
    std::fprintf(stderr, "scalefs_cut: %s\n", error.c_str());
    return fuse::kExitUsage;
  }
  testing::CutOptions cut;
  if (const char* seed = std::getenv("SCALEFS_CUT_SEED")) cut.seed = std::strtoull(seed, nullptr, 10);
  cut.lose_flushes = std::getenv("SCALEFS_CUT_LOSE_FLUSHES") != nullptr;
  return fuse::run_daemon(*options, [cut](diskfs::BlockDevice& device) {
    return std::make_unique<testing::CutDevice>(device, cut);
  });
}
