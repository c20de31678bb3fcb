// The command line of scalefs-dump.
#include "tools/command_line.h"
#include "tools/dump.h"

namespace {

using scalefs::tools::DumpOptions;

constexpr const char* kFooter =
    "Never writes. The journal is replayed in memory, so that what a mount would find is shown.\n"
    "\n"
    "Exit status: 0 shown; 1 no such path or inode; 4 something is damaged, what could be read is\n"
    "shown; 8 not a volume, in use or not readable; 16 usage.";

}  // namespace

int main(int argc, char** argv) {
  DumpOptions options;
  CLI::App app("Shows what stands on a scalefs volume.");
  app.name("scalefs-dump");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", options.json, "Print an object of JSON a line");
  app.add_flag("-v,--verbose", options.verbose,
               "Operations of batches, items of nodes, checksums, values of extended attributes");
  app.add_flag("--checkpoint", options.checkpoint_only, "Leave the journal out");
  const auto command = [&](const char* name, const char* text, DumpOptions::What what, bool target) {
    CLI::App* sub = app.add_subcommand(name, text);
    sub->add_option("PATH", options.path, "Block device or image file")->required();
    if (target) {
      sub->add_option("TARGET", options.target, "An inode's number, or a path from the volume's root")
          ->required();
    }
    sub->callback([&options, what] { options.what = what; });
  };
  command("super", "The newest superblock, and all copies", DumpOptions::What::super, false);
  command("journal", "The batches behind the newest checkpoint", DumpOptions::What::journal, false);
  command("tree", "The nodes of the tree", DumpOptions::What::tree, false);
  command("inode", "An inode: attributes, mapping, extended attributes", DumpOptions::What::inode, true);
  command("dir", "The names of a directory", DumpOptions::What::dir, true);
  command("probe", "What udev(7) wants to know of a device; also of one that is in use", DumpOptions::What::probe,
          false);
  const auto done = scalefs::tools::parse(app, argc, argv, scalefs::tools::kDumpUsage);
  if (done) return *done;
  return scalefs::tools::run_dump(options, stdout, stderr);
}
