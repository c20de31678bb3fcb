// The command line of fsck.scalefs, with the options that fsck(8) and boot scripts hand on.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "tools/fsck.h"

namespace {

constexpr const char* kFooter =
    "Checks superblocks, journal, tree, names, link counts and allocation maps. Without -n the\n"
    "journal is replayed first; damage is told, but repair is not implemented yet.\n"
    "\n"
    "Every finding is a line 'CODE: text'. Exit status: 0 clean; 4 errors are left; 8 the check "
    "could\n"
    "not be made; 16 usage.";

int usage_error(const std::string& text) {
  fprintf(stderr, "fsck.scalefs: %s\nTry 'fsck.scalefs -h'.\n", text.c_str());
  return scalefs::tools::kFsckUsage;
}

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::FsckOptions options;
  bool yes = false;
  int progress = -1;
  CLI::App app("Checks a scalefs volume.");
  app.name("fsck.scalefs");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("-V,--version", "fsck.scalefs " SCALEFS_VERSION);
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  return scalefs::tools::run_fsck(options, stdout, stderr);
}
