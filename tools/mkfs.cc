#include "tools/mkfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "diskfs/file_device.h"
#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "diskfs/superblock_scan.h"
#include "tools/console.h"
#include "tools/foreign_signature.h"
#include "tools/size_suffix.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {

namespace {

class Mkfs {
 public:
  Mkfs(const MkfsOptions& options, FILE* out, FILE* err)
      : options_(options), console_("mkfs.scalefs", out, err) {}
  int run();

 private:
  int check_options();
  int look();
  int make_file();
  int open_device();
  int check_content();
  int resize();
  int wipe();
  int imagine();
  int format_it(diskfs::BlockDevice& device);
  void report(const diskfs::FormatSummary& made);

  const MkfsOptions& options_;
  Console console_;
  bool exists_ = false;
  bool created_ = false;
  std::unique_ptr<diskfs::FileDevice> device_;
};

int Mkfs::check_options() {
  if (options_.label.size() > diskfs::kLabelBytesMax) {
    return console_.say(kMkfsRefused, "the label has {} bytes; it may have {}", options_.label.size(),
               diskfs::kLabelBytesMax);
  }
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; };
  if (std::any_of(options_.label.begin(), options_.label.end(), is_control)) {
    return console_.say(kMkfsRefused, "the label contains a control character");
  }
  if (options_.size_bytes && *options_.size_bytes < kVolumeBytesMin) {
    return console_.say(kMkfsRefused, "a volume needs at least {}; {} is too little",
               format_size(kVolumeBytesMin), format_size(*options_.size_bytes));
  }
  if (options_.size_bytes && *options_.size_bytes > kVolumeBytesMax) {
    return console_.say(kMkfsRefused, "a volume has at most {}; {} is too much",
               format_size(kVolumeBytesMax), format_size(*options_.size_bytes));
  }
  return kMkfsOk;
}

// What is at the path, and does that go with the operands?
int Mkfs::look() {
  const char* path = options_.path.c_str();
  struct stat st = {};
  if (stat(path, &st) != 0) {
    if (errno != ENOENT) return console_.say(kMkfsRefused, "{}: {}", path, std::strerror(errno));
    if (options_.size_bytes) return kMkfsOk;
    return console_.say(kMkfsRefused, "{} does not exist; give a SIZE (such as 10G) to make an image file",
               path);
  }
  exists_ = true;
  bool block_device = S_ISBLK(st.st_mode);
  if (!block_device && !S_ISREG(st.st_mode)) {
    return console_.say(kMkfsRefused, "{} is neither a block device nor a regular file", path);
  }
  if (block_device && options_.size_bytes) {
    return console_.say(kMkfsRefused, "{} is a block device and is used whole; leave SIZE out", path);
  }
  if (options_.size_bytes && !options_.force) {
    return console_.say(kMkfsRefused, "{} exists; leave SIZE out to use it whole, or overwrite it with -f",
               path);
  }
  return kMkfsOk;
}

int Mkfs::make_file() {
  int fd = open(options_.path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    return console_.say(kMkfsRefused, "cannot make {}: {}", options_.path, std::strerror(errno));
  }
  created_ = true;
  int failed = ftruncate(fd, static_cast<off_t>(*options_.size_bytes)) != 0 ? errno : 0;
  close(fd);
  if (failed == 0) return kMkfsOk;
  return console_.say(kMkfsFailed, "cannot make {} {} long: {}", options_.path,
             format_size(*options_.size_bytes), std::strerror(failed));
}

int Mkfs::open_device() {
  diskfs::FileDeviceOptions how;
  how.claim = true;
  how.read_only = options_.dry_run;
  how.lock_wait = console_.wait_for(options_.path, options_.lock_wait_ms);
  std::string why;
  auto device = diskfs::FileDevice::open(options_.path, how, &why);
  if (!device.ok()) return console_.say(kMkfsRefused, "{}", why);
  device_ = std::move(*device);
  if (device_->read_only() && !options_.dry_run) {
    return console_.say(kMkfsRefused, "{} is not writable", options_.path);
  }
  return kMkfsOk;
}

int Mkfs::check_content() {
  if (options_.force) return kMkfsOk;
  diskfs::SuperblockScan scan = diskfs::scan_superblocks(*device_);
  if (scan.newest) {
    const diskfs::Superblock& sb = scan.copies[*scan.newest].sb;
    Signature ours{"scalefs", sb.label, format_uuid(sb.uuid)};
    return console_.say(kMkfsRefused, "{} holds {}; overwrite it with -f", options_.path, describe(ours));
  }
  if (scan.error != EINVAL) {
    return console_.say(kMkfsRefused, "{} holds a scalefs volume ({}); overwrite it with -f", options_.path,
               scan.why);
  }
  auto found = find_signature(device_->fd());
  if (!found.ok()) {
    return console_.say(kMkfsRefused, "{} cannot be probed for file systems; overwrite it with -f",
               options_.path);
  }
  if (*found) {
    return console_.say(kMkfsRefused, "{} holds {}; overwrite it with -f", options_.path, describe(**found));
  }
  return kMkfsOk;
}

// With the lock in our hands: the file gets the size that was asked for, and no old content stays.
int Mkfs::resize() {
  off_t size = static_cast<off_t>(*options_.size_bytes);
  std::string why;
  if (ftruncate(device_->fd(), 0) != 0 || ftruncate(device_->fd(), size) != 0) {
    why = fmt::format("cannot make {} {} long: {}", options_.path,
                      format_size(*options_.size_bytes), std::strerror(errno));
    return console_.say(kMkfsFailed, "{}", why);
  }
  return device_->measure(&why).ok() ? kMkfsOk : console_.say(kMkfsFailed, "{}", why);
}

int Mkfs::wipe() {
  if (wipe_signatures(device_->fd()).ok()) return kMkfsOk;
  return console_.say(kMkfsFailed, "cannot wipe the old signatures of {}", options_.path);
}

void Mkfs::report(const diskfs::FormatSummary& made) {
  if (options_.quiet) return;
  const diskfs::Geometry& g = made.geometry;
  console_.print("{} {}: scalefs {}.{}, {}\n", options_.dry_run ? "would make" : "made",
             options_.path, diskfs::kFormatMajor, diskfs::kFormatMinor,
             format_size(g.block_count * kBlockBytes));
  console_.print("  label    {}\n", made.label.empty() ? "(none)" : made.label);
  // A dry run would choose another one than the run that follows it.
  if (!options_.dry_run || options_.uuid) {
    console_.print("  UUID     {}\n", format_uuid(made.uuid));
  }
  console_.print("  blocks   {} of {} bytes, {} groups of {}\n", g.block_count, kBlockBytes,
             g.group_count, g.group_blocks);
  console_.print("  journal  {}\n", format_size(g.journal_blocks * kBlockBytes));
  console_.print("  for data {}\n", format_size(g.data_blocks() * kBlockBytes));
}

int Mkfs::format_it(diskfs::BlockDevice& device) {
  diskfs::FormatOptions how;
  how.label = options_.label;
  how.uuid = options_.uuid;
  how.dry_run = options_.dry_run;
  how.preallocate = options_.preallocate;
  how.discard = options_.discard;
  if (options_.source_date_epoch) {
    how.time_ns = *options_.source_date_epoch * 1'000'000'000;
    if (options_.uuid) {
      how.hash_key = HashKey{load_le<uint64_t>(options_.uuid->data()),
                             load_le<uint64_t>(options_.uuid->data() + 8)};
    }
  }
  std::string why;
  auto made = diskfs::format(device, how, &why);
  if (!made.ok()) {
    return console_.say(made.code() == EINVAL ? kMkfsRefused : kMkfsFailed, "{}: {}", options_.path, why);
  }
  report(*made);
  return kMkfsOk;
}

// A dry run with a size: on a device that is not there.
int Mkfs::imagine() {
  diskfs::MemoryDevice device(*options_.size_bytes / kBlockBytes);
  return format_it(device);
}

int Mkfs::run() {
  int code = check_options();
  if (code == kMkfsOk) code = look();
  if (code != kMkfsOk) return code;
  if (!exists_ && options_.dry_run) return imagine();
  if (!exists_) code = make_file();
  if (code == kMkfsOk) code = open_device();
  if (code == kMkfsOk && exists_) code = check_content();
  if (code == kMkfsOk && exists_ && options_.size_bytes) {
    if (options_.dry_run) return imagine();
    code = resize();
  }
  if (code == kMkfsOk && exists_ && !options_.dry_run) code = wipe();
  if (code == kMkfsOk) code = format_it(*device_);
  if (code != kMkfsOk && created_) unlink(options_.path.c_str());
  return code;
}

}  // namespace

int run_mkfs(const MkfsOptions& options, FILE* out, FILE* err) {
  return Mkfs(options, out, err).run();
}

bool source_date_epoch(std::optional<int64_t>* seconds) {
  seconds->reset();
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return true;
  int64_t value = 0;
  const char* end = text + std::strlen(text);
  auto parsed = std::from_chars(text, end, value);
  constexpr int64_t kSecondsMax = INT64_MAX / 1'000'000'000;
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0 || value > kSecondsMax)
    return false;
  *seconds = value;
  return true;
}

}  // namespace scalefs::tools
