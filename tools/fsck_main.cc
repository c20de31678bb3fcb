// The command line of fsck.scalefs, with the options that fsck(8) and boot scripts hand on.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tools/command_line.h"
#include "tools/fsck.h"

namespace {

constexpr const char* kFooter =
    "Checks superblocks, journal, tree, names, link counts and allocation maps, and repairs what is\n"
    "wrong: with -y always, with -p if nothing is lost by it, else after asking. A repair is written\n"
    "beside what is there and counts only when it is whole and checked; it may be interrupted.\n"
    "\n"
    "Every finding is a line 'CODE: text'. Exit status: 0 clean; 1 repaired; 4 errors are left, or\n"
    "damaged data was found; 8 the check could not be made; 16 usage.";

bool ask_at_terminal(const std::string& question) {
  printf("%s [y/N]? ", question.c_str());
  fflush(stdout);
  char answer[16] = {};
  if (fgets(answer, sizeof answer, stdin) == nullptr) return false;
  const std::string text(answer, strcspn(answer, "\n"));
  return text == "y" || text == "Y" || text == "yes";
}

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::FsckOptions options;
  CLI::App app("Checks and repairs a scalefs volume.");
  app.name("fsck.scalefs");
  app.footer(kFooter);
  app.add_option("PATH", options.path, "Block device or image file")->required();
  auto* no =
      app.add_flag("-n,--no", options.read_only, "Never write; replay the journal in memory");
  auto* automatic = app.add_flag("-p,-a,--automatic", options.automatic,
                                 "Pass a volume that was unmounted in order; repair if nothing is "
                                 "lost by it (boot scripts)");
  automatic->excludes(no);
  app.add_flag("-y,--yes", options.yes, "Repair without asking")->excludes(no)->excludes(automatic);
  app.add_flag("-f,--force", options.force, "With -p: check all the same");
  app.add_flag("-v,--verbose", options.verbose, "Print more");
  app.add_option("-C,--progress", options.progress_fd,
                 "Show progress on this descriptor; 0: on the terminal");
  app.add_option("-j,--threads", options.threads, "Threads; as many as CPUs when left out")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--data", options.data, "Read all data and verify its checksums");
  app.add_flag("--json", options.json, "Print one JSON object");
  const auto done = scalefs::tools::parse(app, argc, argv, scalefs::tools::kFsckUsage);
  if (done) return *done;
  if (!options.json && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0) {
    options.ask = ask_at_terminal;
  }
  return scalefs::tools::run_fsck(options, stdout, stderr);
}
