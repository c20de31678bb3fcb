// The command line of mkfs.scalefs.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "tools/mkfs.h"
#include "tools/size_suffix.h"
#include "tools/uuid_text.h"

namespace {

constexpr const char* kFooter =
    "SIZE takes the suffixes K, M, G and T (powers of 1024). Without SIZE an existing device or "
    "file\n"
    "is used whole; with it an image file is made.\n"
    "SOURCE_DATE_EPOCH in the environment fixes the time of creation; with -U the same call then\n"
    "makes the same image (its hash key follows from the UUID: not for volumes that strangers\n"
    "write to).\n"
    "\n"
    "Exit status: 0 made, or would be made (-n); 1 usage, or refused and nothing changed; 2 an\n"
    "error of the system.";

int usage_error(const std::string& text) {
  fprintf(stderr, "mkfs.scalefs: %s\nTry 'mkfs.scalefs -h'.\n", text.c_str());
  return scalefs::tools::kMkfsRefused;
}

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::MkfsOptions options;
  std::string size, uuid;
  CLI::App app("Makes a scalefs volume on a block device or in an image file.");
  app.name("mkfs.scalefs");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("-V,--version", "mkfs.scalefs " SCALEFS_VERSION);
  app.add_option("PATH", options.path, "Block device or image file")->required();
  app.add_option("SIZE", size, "Size of the image file to be made");
  app.add_option("-L,--label", options.label, "Label, at most 64 bytes");
  app.add_option("-U,--uuid", uuid, "UUID; a random one by default");
  app.add_flag("-f,--force", options.force, "Overwrite what the path holds");
  app.add_flag("-q,--quiet", options.quiet, "Print nothing but errors");
  app.add_flag("-n,--dry-run", options.dry_run, "Change nothing; say what would be made");
  app.add_flag("--preallocate", options.preallocate, "Have the host allocate all blocks now");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  if (!size.empty()) {
    options.size_bytes = scalefs::tools::parse_size(size);
    if (!options.size_bytes) return usage_error("'" + size + "' is no size (try 512M or 10G)");
  }
  if (!uuid.empty()) {
    options.uuid = scalefs::tools::parse_uuid(uuid);
    if (!options.uuid) return usage_error("'" + uuid + "' is no UUID");
  }
  if (!scalefs::tools::source_date_epoch(&options.source_date_epoch)) {
    return usage_error("SOURCE_DATE_EPOCH is no number of seconds since 1970");
  }
  return scalefs::tools::run_mkfs(options, stdout, stderr);
}
