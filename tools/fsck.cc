#include "tools/fsck.h"

#include <fmt/core.h>

#include <memory>
#include <new>

#include "diskfs/check/check.h"
#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tools/size_suffix.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {

namespace {

class Fsck {
 public:
  Fsck(const FsckOptions& options, FILE* out, FILE* err)
      : options_(options), out_(out), err_(err) {}
  int run();

 private:
  template <class... Args>
  int say(int code, fmt::format_string<Args...> format, Args&&... args) {
    std::string text = fmt::format(format, std::forward<Args>(args)...);
    fmt::print(err_, "fsck.scalefs: {}\n", text);
    return code;
  }
  int open_device();
  bool may_pass();
  void replay();
  int check();
  void summary(const diskfs::CheckReport& report);

  const FsckOptions& options_;
  FILE* out_;
  FILE* err_;
  std::unique_ptr<diskfs::FileDevice> device_;
};

int Fsck::open_device() {
  diskfs::FileDeviceOptions how;
  how.read_only = options_.read_only;
  how.claim = !options_.read_only;
  how.lock_wait.wait_ms = options_.lock_wait_ms;
  how.lock_wait.waiting = [&](pid_t holder) {
    say(0, "{} is in use{}; waiting up to {} s", options_.path,
        holder > 0 ? fmt::format(" by process {}", holder) : "", options_.lock_wait_ms / 1000);
  };
  std::string why;
  auto device = diskfs::FileDevice::open(options_.path, how, &why);
  if (!device.ok()) return say(kFsckOperational, "{}", why);
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
  fmt::print(out_, "{}: clean, {} inodes, {} of {} blocks free\n", options_.path, sb->inode_count,
             sb->free_blocks, sb->geometry.data_blocks());
  return true;
}

// What cannot be replayed is told by the check that follows.
void Fsck::replay() {
  if (options_.read_only || device_->read_only()) return;
  std::string why;
  auto batches = diskfs::replay_volume(*device_, &why);
  if (batches.ok() && *batches > 0) {
    fmt::print(out_, "{}: replayed {} batches of the journal\n", options_.path, *batches);
  }
}

void Fsck::summary(const diskfs::CheckReport& report) {
  const diskfs::Findings& findings = report.findings;
  const diskfs::Superblock& sb = report.superblock;
  if (report.batches_replayed > 0) {
    fmt::print(out_, "{}: {} batches of the journal were replayed in memory\n", options_.path,
               report.batches_replayed);
  }
  if (findings.omitted() > 0) {
    fmt::print(out_, "{}: {} more findings of these kinds are not listed\n", options_.path,
               findings.omitted());
  }
  if (options_.verbose) {
    fmt::print(out_, "{}: label \"{}\", UUID {}, generation {}, {} tree nodes\n", options_.path,
               sb.label, format_uuid(sb.uuid), sb.generation, report.nodes);
  }
  uint64_t errors = findings.errors();
  fmt::print(
      out_, "{}: {}, {} inodes ({} directories, {} orphans), {} of {} blocks free\n", options_.path,
      errors == 0 ? "clean" : fmt::format("{} error{}", errors, errors == 1 ? "" : "s"),
      report.inodes, report.directories, report.orphans, sb.free_blocks, sb.geometry.data_blocks());
}

int Fsck::check() {
  std::string why;
  auto report = diskfs::check_volume(*device_, &why);
  if (!report.ok()) return say(kFsckOperational, "{}: {}", options_.path, why);
  for (const diskfs::Finding& finding : report->findings.list()) {
    fmt::print(out_, "{}: {}\n", diskfs::code_name(finding.code), finding.text);
  }
  summary(*report);
  if (report->findings.clean()) return kFsckClean;
  if (!options_.read_only)
    say(0, "{}: repair is not implemented; nothing was repaired", options_.path);
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
    fmt::print(err, "fsck.scalefs: {}: not enough memory\n", options.path);
    return kFsckOperational;
  }
}

}  // namespace scalefs::tools
