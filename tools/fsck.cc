#include "tools/fsck.h"

#include <memory>
#include <new>

#include "diskfs/check/check.h"
#include "diskfs/check/repair.h"
#include "diskfs/check/scrub.h"
#include "diskfs/file_device.h"
#include "diskfs/stand_in.h"
#include "diskfs/superblock_scan.h"
#include "tools/console.h"
#include "tools/json_text.h"
#include "tools/progress_bar.h"
#include "tools/size_suffix.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {

namespace {

using diskfs::Findings;

class Fsck {
 public:
  Fsck(const FsckOptions& options, FILE* out, FILE* err)
      : options_(options),
        console_("fsck.scalefs", out, err),
        bar_(options.progress_fd, options.path) {}
  int run();

 private:
  int open_device();
  bool may_pass();
  int check_and_repair();
  int replay(const diskfs::CheckReport& report);
  int repair();
  int scrub();
  Result<diskfs::CheckReport> check(const char* what);
  diskfs::CheckOptions how_to_check() {
    return {options_.threads, [this](uint64_t done, uint64_t total) { bar_.update(done, total); }};
  }
  bool may_write() const { return !options_.read_only && !device_->read_only() && !image_; }
  bool confirm(const diskfs::RepairLog& log);
  void tell(const Findings& findings, const char* before, std::string* json);
  void summary(const diskfs::CheckReport& report);
  void print_json(int code);
  // Lines are for people; with --json there is one object instead.
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    if (!options_.json) console_.print(format, std::forward<Args>(args)...);
  }
  int say(int code, std::string text) {
    reason_ = text;
    return console_.say(code, "{}", text);
  }

  const FsckOptions& options_;
  Console console_;
  ProgressBar bar_;
  std::unique_ptr<diskfs::FileDevice> device_;
  bool image_ = false;  // metadata alone: there is nothing to repair, and no data
  // For --json.
  std::string reason_, json_findings_, json_done_, json_lost_, json_data_, json_summary_;
  uint64_t replayed_ = 0;
};

int Fsck::open_device() {
  diskfs::FileDeviceOptions how;
  how.read_only = options_.read_only;
  how.claim = !options_.read_only;
  how.lock_wait = console_.wait_for(options_.path, options_.lock_wait_ms);
  std::string why;
  auto device = diskfs::FileDevice::open(options_.path, how, &why);
  if (!device.ok()) return say(kFsckOperational, why);
  device_ = std::move(*device);
  return kFsckClean;
}

// At boot (-p) a volume that was unmounted in order is not looked at any further, as with other
// file systems.
bool Fsck::may_pass() {
  if (!options_.automatic || options_.force || options_.data) return false;
  std::string why;
  auto sb = diskfs::read_newest_superblock(*device_, &why);
  if (!sb.ok() || sb->state != diskfs::kStateClean) return false;
  print("{}: clean, {} inodes, {} of {} blocks free\n", options_.path, sb->inode_count,
        sb->free_blocks, sb->geometry.data_blocks());
  return true;
}

void Fsck::tell(const Findings& findings, const char* before, std::string* json) {
  for (const diskfs::Finding& finding : findings.list()) {
    print("{}{}: {}\n", before, diskfs::code_name(finding.code), finding.text);
    *json += fmt::format("{}{{\"code\":{},\"note\":{},\"text\":{}}}", json->empty() ? "" : ",",
                         json_text(diskfs::code_name(finding.code)),
                         diskfs::is_note(finding.code), json_text(finding.text));
  }
  if (findings.omitted() > 0) {
    print("{}: {} more of these kinds are not listed\n", options_.path, findings.omitted());
  }
}

void Fsck::summary(const diskfs::CheckReport& report) {
  const diskfs::Superblock& sb = report.superblock;
  if (report.batches_replayed > 0 && !may_write()) {
    print("{}: {} batches of the journal were replayed in memory\n", options_.path,
          report.batches_replayed);
  }
  if (options_.verbose) {
    print("{}: label \"{}\", UUID {}, generation {}, {} tree nodes, {} names, {} pages\n",
          options_.path, sb.label, format_uuid(sb.uuid), sb.generation, report.nodes, report.names,
          report.pages);
  }
  const uint64_t errors = report.findings.errors();
  print("{}: {}, {} inodes ({} directories, {} orphans), {} of {} blocks free\n", options_.path,
        errors == 0 ? "clean" : fmt::format("{} error{}", errors, errors == 1 ? "" : "s"),
        report.inodes, report.directories, report.orphans, sb.free_blocks,
        sb.geometry.data_blocks());
  json_summary_ = fmt::format(
      "\"uuid\":{},\"generation\":{},\"inodes\":{},\"directories\":{},\"names\":{},\"orphans\":{},"
      "\"nodes\":{},\"pages\":{},\"free_blocks\":{},\"data_blocks\":{}",
      json_text(format_uuid(sb.uuid)), sb.generation, report.inodes, report.directories,
      report.names, report.orphans, report.nodes, report.pages, sb.free_blocks,
      sb.geometry.data_blocks());
}

// What was done and what is lost, and whether it shall be so.
bool Fsck::confirm(const diskfs::RepairLog& log) {
  bar_.end();
  tell(log.done, "repair: ", &json_done_);
  tell(log.lost, "lost: ", &json_lost_);
  if (options_.yes) return true;
  if (options_.automatic) return log.lost.errors() == 0;
  return options_.ask && options_.ask(fmt::format("{}: write this repair", options_.path));
}

int Fsck::repair() {
  if (!options_.yes && !options_.automatic && !options_.ask) {
    return say(kFsckErrorsLeft,
               fmt::format("{}: nothing was repaired: there is no terminal to ask at, and neither "
                           "-y nor -p was given",
                           options_.path));
  }
  diskfs::RepairOptions how;
  how.workers = options_.threads;
  how.confirm = [this](const diskfs::RepairLog& log) { return confirm(log); };
  bar_.begin(2, "repairing");
  std::string why;
  auto report = diskfs::repair_volume(*device_, how, &why);
  bar_.end();
  if (!report.ok()) {
    return say(kFsckErrorsLeft, fmt::format("{}: not repaired: {}", options_.path, why));
  }
  if (report->declined) {
    const char* reason = options_.automatic ? "something would be lost; run fsck.scalefs without -p"
                                            : "as you said";
    return say(kFsckErrorsLeft, fmt::format("{}: not repaired: {}", options_.path, reason));
  }
  if (!report->repaired) {
    std::string left;
    tell(report->left, "left: ", &left);
    return say(kFsckErrorsLeft, fmt::format("{}: not repaired: the result would not be right",
                                            options_.path));
  }
  auto checked = check("checking again");
  if (!checked.ok()) return kFsckOperational;
  summary(*checked);
  if (!checked->findings.clean()) return kFsckErrorsLeft;
  print("{}: repaired\n", options_.path);
  return kFsckRepaired;
}

Result<diskfs::CheckReport> Fsck::check(const char* what) {
  bar_.begin(1, what);
  std::string why;
  auto report = diskfs::check_volume(*device_, &why, how_to_check());
  bar_.end();
  if (!report.ok()) say(kFsckOperational, fmt::format("{}: {}", options_.path, why));
  return report;
}

// Only what is known to come out right is replayed.
int Fsck::replay(const diskfs::CheckReport& report) {
  if (report.batches_replayed == 0 || !may_write()) return kFsckClean;
  std::string why;
  auto batches = diskfs::replay_volume(*device_, &why);
  if (!batches.ok()) {
    return say(kFsckOperational, fmt::format("{}: replaying the journal: {}", options_.path, why));
  }
  replayed_ = *batches;
  print("{}: replayed {} batches of the journal\n", options_.path, *batches);
  return kFsckClean;
}

int Fsck::check_and_repair() {
  auto report = check("checking");
  if (!report.ok()) return kFsckOperational;
  tell(report->findings, "", &json_findings_);
  image_ = is_metadata_image(report->superblock);
  if (report->findings.clean()) {
    const int code = replay(*report);
    summary(*report);
    return code;
  }
  summary(*report);
  return may_write() ? repair() : kFsckErrorsLeft;
}

int Fsck::scrub() {
  if (image_) {
    print("{}: a metadata image has no data\n", options_.path);
    return kFsckClean;
  }
  bar_.begin(3, "reading data");
  std::string why;
  auto report = diskfs::scrub_volume(*device_, how_to_check(), &why);
  bar_.end();
  if (!report.ok()) return say(kFsckOperational, fmt::format("{}: {}", options_.path, why));
  tell(report->findings, "", &json_data_);
  print("{}: {} blocks of data read, {} damaged\n", options_.path, report->blocks,
        report->bad_blocks);
  return report->bad_blocks == 0 ? kFsckClean : kFsckErrorsLeft;
}

void Fsck::print_json(int code) {
  console_.print(
      "{{\"path\":{},\"exit\":{},\"message\":{},\"batches_replayed\":{},{}{}\"findings\":[{}],"
      "\"repairs\":[{}],\"lost\":[{}],\"data\":[{}]}}\n",
      json_text(options_.path), code, reason_.empty() ? "null" : json_text(reason_), replayed_,
      json_summary_, json_summary_.empty() ? "" : ",", json_findings_, json_done_, json_lost_,
      json_data_);
}

int Fsck::run() {
  int code = open_device();
  if (code == kFsckClean && !may_pass()) {
    code = check_and_repair();
    if (options_.data && (code & kFsckOperational) == 0) code |= scrub();
  }
  if (options_.json) print_json(code);
  return code;
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
