// The command line of mkfs.scalefs.
#include <cstdio>
#include <string>

#include "tools/command_line.h"
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

}  // namespace

int main(int argc, char** argv) {
  scalefs::tools::MkfsOptions options;
  std::string size, uuid;
  bool keep_blocks = false;
  CLI::App app("Makes a scalefs volume on a block device or in an image file.");
  app.name("mkfs.scalefs");
  app.footer(kFooter);
  app.add_option("PATH", options.path, "Block device or image file")->required();
  app.add_option("SIZE", size, "Size of the image file to be made");
  app.add_option("-L,--label", options.label, "Label, at most 64 bytes");
  app.add_option("-U,--uuid", uuid, "UUID; a random one by default");
  app.add_flag("-f,--force", options.force, "Overwrite what the path holds");
  app.add_flag("-q,--quiet", options.quiet, "Print nothing but errors");
  app.add_flag("-n,--dry-run", options.dry_run, "Change nothing; say what would be made");
  app.add_flag("-K,--nodiscard", keep_blocks, "Discard nothing: keep the blocks of the device or image");
  app.add_flag("--preallocate", options.preallocate, "Have the host allocate all blocks now");
  const auto done = scalefs::tools::parse(app, argc, argv, scalefs::tools::kMkfsRefused);
  if (done) return *done;
  const auto refuse = [&](const std::string& text) {
    return scalefs::tools::usage_error(app, text, scalefs::tools::kMkfsRefused);
  };
  options.discard = !keep_blocks;
  if (!size.empty()) {
    options.size_bytes = scalefs::tools::parse_size(size);
    if (!options.size_bytes) return refuse("'" + size + "' is no size (try 512M or 10G)");
  }
  if (!uuid.empty()) {
    options.uuid = scalefs::tools::parse_uuid(uuid);
    if (!options.uuid) return refuse("'" + uuid + "' is no UUID");
  }
  if (!scalefs::tools::source_date_epoch(&options.source_date_epoch)) {
    return refuse("SOURCE_DATE_EPOCH is no number of seconds since 1970");
  }
  return scalefs::tools::run_mkfs(options, stdout, stderr);
}
