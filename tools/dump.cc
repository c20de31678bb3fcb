#include "tools/dump.h"

#include <blkid/blkid.h>
#include <fmt/format.h>

#include <memory>
#include <new>

#include "diskfs/diskfs.h"
#include "diskfs/file_device.h"
#include "diskfs/journal_reader.h"
#include "diskfs/overlay_device.h"
#include "diskfs/recovery.h"
#include "diskfs/stand_in.h"
#include "diskfs/superblock_scan.h"
#include "tools/console.h"
#include "tools/dump_batch.h"
#include "tools/dump_tree.h"
#include "tools/uuid_text.h"

namespace scalefs::tools {
namespace {

class Dump {
 public:
  Dump(const DumpOptions& options, FILE* out, FILE* err)
      : options_(options), console_("scalefs-dump", out, err), printer_(out, options.json) {}
  int run();

 private:
  int open_device();
  int choose_superblock();
  void replay();
  int show_super();
  int show_journal();
  int show_probe();

  const DumpOptions& options_;
  Console console_;
  RecordPrinter printer_;
  std::unique_ptr<diskfs::FileDevice> device_;
  std::unique_ptr<diskfs::OverlayDevice> overlay_;
  diskfs::SuperblockScan scan_;
  diskfs::Superblock sb_;  // the newest; of the replayed volume after replay()
};

int Dump::open_device() {
  diskfs::FileDeviceOptions how;
  how.read_only = true;
  how.lock = options_.what != DumpOptions::What::probe;
  how.lock_wait = console_.wait_for(options_.path, options_.lock_wait_ms);
  std::string why;
  auto device = diskfs::FileDevice::open(options_.path, how, &why);
  if (!device.ok()) return console_.say(kDumpOperational, "{}", why);
  device_ = std::move(*device);
  return kDumpDone;
}

int Dump::choose_superblock() {
  scan_ = diskfs::scan_superblocks(*device_);
  if (!scan_.newest) return console_.say(kDumpOperational, "{}: {}", options_.path, scan_.why);
  sb_ = scan_.copies[*scan_.newest].sb;
  return kDumpDone;
}

void Dump::replay() {
  overlay_ = std::make_unique<diskfs::OverlayDevice>(*device_);
  if (options_.checkpoint_only) return;
  std::string why;
  diskfs::MountOptions how;
  how.metadata_image = true;
  auto fs = diskfs::DiskFs::mount(*overlay_, how, &why);
  if (fs.ok()) {
    const auto sb = diskfs::read_newest_superblock(*overlay_, &why);
    if (sb.ok()) {
      sb_ = *sb;
      return;
    }
  }
  console_.say(0, "{}: the journal cannot be replayed, so the newest checkpoint is shown: {}",
               options_.path, why);
  overlay_ = std::make_unique<diskfs::OverlayDevice>(*device_);
}

int Dump::show_super() {
  const diskfs::Geometry& g = sb_.geometry;
  Record record{
      {"uuid", format_uuid(sb_.uuid)},
      {"label", printable(sb_.label)},
      {"format", fmt::format("{}.{}", diskfs::kFormatMajor, sb_.version_minor)},
      {"created", time_text(sb_.created_ns)},
      {"clean", (sb_.state & diskfs::kStateClean) != 0},
      {"damaged", (sb_.state & diskfs::kStateDamaged) != 0},
      {"generation", sb_.generation},
      {"mount_epoch", sb_.mount_epoch},
      {"feature_compat", sb_.feature_compat},
      {"feature_ro_compat", sb_.feature_ro_compat},
      {"feature_incompat", sb_.feature_incompat},
      {"metadata_image", is_metadata_image(sb_)},
      {"block_bytes", kBlockBytes},
      {"blocks", g.block_count},
      {"group_blocks", g.group_blocks},
      {"groups", g.group_count},
      {"journal_first", g.journal_first},
      {"journal_blocks", g.journal_blocks},
      {"data_first", g.data_first},
      {"data_end", g.data_end},
      {"free_blocks", sb_.free_blocks},
      {"inodes", sb_.inode_count},
      {"next_inode", sb_.next_ino},
      {"recycled_inodes", sb_.free_ino_count},
      {"covered_sequence", sb_.covered_seq},
      {"journal_scan", sb_.journal_scan},
      {"root", {{"block", sb_.root.block.v}, {"height", sb_.root.height},
                {"generation", sb_.root.generation}, {"crc", fmt::format("{:08x}", sb_.root.crc)}}},
      {"group_table", {{"copy", sb_.table.copy}, {"generation", sb_.table.generation},
                       {"crc", fmt::format("{:08x}", sb_.table.crc)}}},
  };
  Record copies = Record::array();
  for (const diskfs::SuperblockCopy& copy : scan_.copies) {
    Record one{{"block", copy.block}};
    if (copy.error == 0) {
      one["generation"] = copy.sb.generation;
    } else {
      one["invalid"] = copy.why;
    }
    copies.push_back(one);
  }
  record["copies"] = copies;
  printer_.thing(record);
  return kDumpDone;
}

int Dump::show_journal() {
  diskfs::JournalReader reader(*device_, diskfs::journal_area(sb_), sb_.mount_epoch,
                               diskfs::journal_start(sb_));
  for (;;) {
    const diskfs::JournalPoint at = reader.point();
    auto batch = reader.next();
    if (!batch.ok()) return console_.say(kDumpOperational, "{}: the journal cannot be read", options_.path);
    if (!batch->has_value()) break;
    const diskfs::BatchHeader& header = (*batch)->header;
    printer_.row({{"sequence", header.sequence},
                  {"block", sb_.geometry.journal_first + header.own_block},
                  {"bytes", header.payload_bytes},
                  {"operations", header.op_count},
                  {"mount_epoch", header.mount_epoch},
                  {"checkpoint", header.checkpoint_generation},
                  {"durable_sequence", header.flushed_seq},
                  {"crc", fmt::format("{:08x}", header.crc)}});
    if (options_.verbose && !show_operations((*batch)->payload(), at.sequence, printer_))
      return console_.say(kDumpDamaged, "batch {} does not decode", at.sequence);
  }
  std::string why;
  const auto recovered = diskfs::recover_journal(*device_, sb_, true, &why);
  if (!recovered.ok()) return console_.say(kDumpDamaged, "{}: {}", options_.path, why);
  if (recovered->damaged) return console_.say(kDumpDamaged, "{}: {}", options_.path, why);
  return kDumpDone;
}

// As blkid -o udev prints it: a name for programs, where anything that is not plain is spelled \xHH, and one for people.
int Dump::show_probe() {
  const std::string uuid = format_uuid(sb_.uuid);
  console_.print("ID_FS_TYPE=scalefs\nID_FS_USAGE=filesystem\nID_FS_UUID={}\nID_FS_UUID_ENC={}\n", uuid,
                 uuid);
  if (sb_.label.empty()) return kDumpDone;
  char text[diskfs::kLabelBytesMax * 4 + 1];
  if (::blkid_safe_string(sb_.label.c_str(), text, sizeof(text)) == 0) console_.print("ID_FS_LABEL={}\n", text);
  if (::blkid_encode_string(sb_.label.c_str(), text, sizeof(text)) == 0) console_.print("ID_FS_LABEL_ENC={}\n", text);
  return kDumpDone;
}

int Dump::run() {
  using What = DumpOptions::What;
  if (const int code = open_device()) return code;
  if (const int code = choose_superblock()) return code;
  if (options_.what == What::super) return show_super();
  if (options_.what == What::journal) return show_journal();
  if (options_.what == What::probe) return show_probe();
  replay();
  diskfs::NodeStore store(*overlay_, sb_.uuid.data(), sb_.hash_key);
  TreeDump tree(store, sb_, options_.verbose, console_, printer_);
  switch (options_.what) {
    case What::tree: return tree.show_nodes();
    case What::inode: return tree.show_inode(options_.target);
    default: return tree.show_directory(options_.target);
  }
}

}  // namespace

int run_dump(const DumpOptions& options, FILE* out, FILE* err) {
  try {
    return Dump(options, out, err).run();
  } catch (const std::bad_alloc&) {
    return Console("scalefs-dump", out, err).say(kDumpOperational, "out of memory");
  }
}

}  // namespace scalefs::tools
