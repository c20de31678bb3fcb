// The command line of fsck.scalefs, with the options that fsck(8) and boot scripts hand on.
#include <cstdio>
#include <string>

#include "tools/command_line.h"
#include "tools/fsck.h"

namespace {

constexpr const char* kFooter =
    "Checks superblocks, journal, tree, names, link counts and allocation maps. Without -n the\n"
    "journal is replayed first; damage is told, but repair is not implemented yet.\n"
    "\n"
    "Every finding is a line 'CODE: text'. Exit status: 0 clean; 4 errors are left; 8 the check "
    "could\n"
    "not be made; 16 usage.";

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::FsckOptions options;
  bool yes = false;
  int progress = -1;
  CLI::App app("Checks a scalefs volume.");
  app.name("fsck.scalefs");
  app.footer(kFooter);
  app.add_option("PATH", options.path, "Block device or image file")->required();
  auto* no =
      app.add_flag("-n,--no", options.read_only, "Never write; replay the journal in memory");
  app.add_flag("-p,-a,--automatic", options.automatic,
               "Pass a volume that was unmounted in order (boot scripts)")
      ->excludes(no);
  app.add_flag("-y,--yes", yes, "Accepted; there is nothing to ask yet")->excludes(no);
  app.add_flag("-f,--force", options.force, "With -p: check all the same");
  app.add_flag("-v,--verbose", options.verbose, "Print more");
  app.add_option("-C,--progress", progress, "Accepted; no progress is shown yet");
  const auto done = scalefs::tools::parse(app, argc, argv, scalefs::tools::kFsckUsage);
  if (done) return *done;
  return scalefs::tools::run_fsck(options, stdout, stderr);
}
