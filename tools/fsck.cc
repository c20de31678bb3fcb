#include "tools/fsck.h"

#include <memory>
#include <new>

#include "diskfs/check/check.h"
#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tools/console.h"
#include "tools/size_suffix.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {

namespace {

class Fsck {
 public:
  Fsck(const FsckOptions& options, FILE* out, FILE* err)
      : options_(options), console_("fsck.scalefs", out, err) {}
  int run();

 private:
  int open_device();
  bool may_pass();
  void replay();
  int check();
  void summary(const diskfs::CheckReport& report);

  const FsckOptions& options_;
  Console console_;
  std::unique_ptr<diskfs::FileDevice> device_;
};

int Fsck::open_device() {
  diskfs::FileDeviceOptions how;
  how.read_only = options_.read_only;
  how.claim = !options_.read_only;
  how.lock_wait = console_.wait_for(options_.path, options_.lock_wait_ms);
  std::string why;
  auto device = diskfs::FileDevice::open(options_.path, how, &why);
  if (!device.ok()) return console_.say(kFsckOperational, "{}", why);
  device_ = std::move(*device);
  return kFsckClean;
}

// At boot (-p) a volume that was unmounted in order is not looked at any further, as with other
// file systems.
bool Fsck::may_pass() {
  if (!options_.automatic || options_.force) return false;
  std::string why;
  auto sb = diskfs::read_newest_superblock(*device_, &why);
  if (!sb.ok() || sb->state != diskfs::kStateClean) return false;
  console_.print("{}: clean, {} inodes, {} of {} blocks free\n", options_.path, sb->inode_count,
             sb->free_blocks, sb->geometry.data_blocks());
  return true;
}

// What cannot be replayed is told by the check that follows.
void Fsck::replay() {
  if (options_.read_only || device_->read_only()) return;
  std::string why;
  auto batches = diskfs::replay_volume(*device_, &why);
  if (batches.ok() && *batches > 0) {
    console_.print("{}: replayed {} batches of the journal\n", options_.path, *batches);
  }
}

void Fsck::summary(const diskfs::CheckReport& report) {
  const diskfs::Findings& findings = report.findings;
  const diskfs::Superblock& sb = report.superblock;
  if (report.batches_replayed > 0) {
    console_.print("{}: {} batches of the journal were replayed in memory\n", options_.path,
               report.batches_replayed);
  }
  if (findings.omitted() > 0) {
    console_.print("{}: {} more findings of these kinds are not listed\n", options_.path,
               findings.omitted());
  }
  if (options_.verbose) {
    console_.print("{}: label \"{}\", UUID {}, generation {}, {} tree nodes\n", options_.path,
               sb.label, format_uuid(sb.uuid), sb.generation, report.nodes);
  }
  uint64_t errors = findings.errors();
  console_.print(
      "{}: {}, {} inodes ({} directories, {} orphans), {} of {} blocks free\n", options_.path,
      errors == 0 ? "clean" : fmt::format("{} error{}", errors, errors == 1 ? "" : "s"),
      report.inodes, report.directories, report.orphans, sb.free_blocks, sb.geometry.data_blocks());
}

int Fsck::check() {
  std::string why;
  auto report = diskfs::check_volume(*device_, &why);
  if (!report.ok()) return console_.say(kFsckOperational, "{}: {}", options_.path, why);
  for (const diskfs::Finding& finding : report->findings.list()) {
    console_.print("{}: {}\n", diskfs::code_name(finding.code), finding.text);
  }
  summary(*report);
  if (report->findings.clean()) return kFsckClean;
  if (!options_.read_only)
    console_.say(0, "{}: repair is not implemented; nothing was repaired", options_.path);
  return kFsckErrorsLeft;
}

int Fsck::run() {
  int code = open_device();
  if (code != kFsckClean) return code;
  if (may_pass()) return kFsckClean;
  replay();
  return check();
}

}  // namespace

int run_fsck(const FsckOptions& options, FILE* out, FILE* err) {
  try {
    return Fsck(options, out, err).run();
  } catch (const std::bad_alloc&) {
    return Console("fsck.scalefs", out, err).say(kFsckOperational, "{}: not enough memory",
                                                  options.path);
  }
}

}  // namespace scalefs::tools
