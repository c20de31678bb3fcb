// The command line of scalefs-image.
#include "tools/command_line.h"
#include "tools/image.h"

namespace {

constexpr const char* kFooter =
    "The copy is a sparse file as large as the volume, which scalefs-dump and fsck.scalefs read. Names,\n"
    "targets of symbolic links, extended attributes and all data are not in it. SOURCE is only read.\n"
    "\n"
    "Exit status: 0 made; 4 made, and damaged parts of the volume are left out; 8 not made; 16 usage.";

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::ImageOptions options;
  CLI::App app("Copies the metadata of a scalefs volume, to be sent with a report.");
  app.name("scalefs-image");
  app.footer(kFooter);
  app.add_option("SOURCE", options.source, "Block device or image file")->required();
  app.add_option("DEST", options.dest, "File to be made; must not exist")->required();
  const auto done = scalefs::tools::parse(app, argc, argv, scalefs::tools::kImageUsage);
  if (done) return *done;
  return scalefs::tools::run_image(options, stdout, stderr);
}
