#include "diskfs/check/check.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "diskfs/check/block_refs.h"
#include "diskfs/check/links.h"
#include "diskfs/check/parallel.h"
#include "diskfs/check/tree_scan.h"
#include "diskfs/diskfs.h"
#include "diskfs/overlay_device.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"

namespace scalefs::diskfs {

namespace {

// A crash while a superblock was written leaves torn copies in the places of the next generation,
// and old ones among its own.
void check_superblocks(const SuperblockScan& scan, Findings& findings) {
  const Superblock& newest = scan.copies[*scan.newest].sb;
  uint64_t blocks = newest.geometry.block_count;
  auto own = superblock_targets(newest.generation, blocks);
  auto next = superblock_targets(newest.generation + 1, blocks);
  auto among = [](const std::vector<uint64_t>& places, uint64_t block) {
    return std::find(places.begin(), places.end(), block) != places.end();
  };
  for (const SuperblockCopy& copy : scan.copies) {
    if (copy.error != 0) {
      bool torn = copy.error == EUCLEAN && among(next, copy.block);
      findings.add(
          torn ? Code::sb_old : Code::sb_damaged,
          fmt::format("the superblock copy in block {} is not valid: {}", copy.block, copy.why));
    } else if (among(own, copy.block) && copy.sb.generation < newest.generation) {
      findings.add(Code::sb_old,
                   fmt::format("the superblock copy in block {} is of generation {}, not {}",
                               copy.block, copy.sb.generation, newest.generation));
    }
  }
}

void check_maps(BlockDevice& device, const Superblock& sb, BlockRefs& refs, bool complete,
                Findings& findings) {
  std::vector<SpaceMap::GroupDamage> damage;
  std::string why;
  auto map = SpaceMap::load_for_check(device, sb, &damage, &why);
  if (!map.ok()) {
    findings.add(Code::table_damaged, why);
    return;
  }
  std::vector<uint64_t> unknown;
  for (const SpaceMap::GroupDamage& d : damage) {
    findings.add(d.group ? Code::map_damaged : Code::sb_free_blocks, d.why);
    if (d.group) unknown.push_back(*d.group);
  }
  refs.compare(**map, unknown, complete, findings);
}

// The tree and the maps of one checkpoint.
void check_checkpoint(BlockDevice& device, const CheckOptions& options, CheckReport* report) {
  const Superblock& sb = report->superblock;
  Findings& findings = report->findings;
  BlockRefs refs(sb.geometry);
  NodeStore store(device, sb.uuid.data(), sb.hash_key);
  std::function<void(uint64_t)> show;
  if (options.progress) {
    show = [&](uint64_t inodes) { options.progress(inodes, sb.inode_count); };
  }
  TreeScanResult scan = scan_tree(store, sb, refs, worker_count(options.workers), show);
  InodeTable& table = scan.table;
  findings.add(scan.findings);
  check_links(table, sb, scan.complete, findings);
  check_maps(device, sb, refs, scan.complete, findings);
  report->inodes = table.inodes.size();
  report->directories =
      static_cast<uint64_t>(std::count_if(table.inodes.begin(), table.inodes.end(),
                                          [](const InodeRecord& r) { return S_ISDIR(r.mode); }));
  report->names = table.names.size();
  report->nodes = scan.nodes;
  report->pages = scan.pages;
  report->orphans = table.orphans.size();
}

// Brings the batches into an overlay. False when the checkpoint as it is must do.
bool replay(OverlayDevice& overlay, CheckReport* report) {
  std::string why;
  MountOptions options;
  options.metadata_image = true;
  auto fs = DiskFs::mount(overlay, options, &why);
  if (fs.ok()) {
    auto sb = read_newest_superblock(overlay, &why);
    if (sb.ok()) {
      report->superblock = *sb;
      return true;
    }
  }
  report->findings.add(Code::replay_failed, fmt::format("the journal cannot be replayed: {}", why));
  return false;
}

}  // namespace

Result<CheckReport> check_volume(BlockDevice& device, std::string* why,
                                 const CheckOptions& options) {
  CheckReport report;
  SuperblockScan scan = scan_superblocks(device);
  if (!scan.newest) {
    *why = scan.why;
    if (scan.error != EUCLEAN) return Errno(scan.error);
    bool truncated = std::any_of(scan.copies.begin(), scan.copies.end(),
                                 [](const SuperblockCopy& copy) { return copy.error == 0; });
    report.findings.add(truncated ? Code::sb_truncated : Code::sb_none, scan.why);
    return report;
  }
  report.superblock = scan.copies[*scan.newest].sb;
  check_superblocks(scan, report.findings);
  auto journal = recover_journal(device, report.superblock, /*take_prefix=*/true, why);
  OverlayDevice overlay(device);
  bool replayed = false;
  if (!journal.ok()) {
    report.findings.add(Code::journal_damaged, *why);
  } else if (journal->damaged) {
    report.findings.add(Code::journal_damaged,
                        fmt::format("the journal is damaged behind batch {}; the last checkpoint "
                                    "is checked, not what follows it",
                                    journal->end.sequence - 1));
  } else if (!journal->batches.empty()) {
    report.batches_replayed = journal->batches.size();
    journal->batches.clear();
    replayed = replay(overlay, &report);
  }
  BlockDevice& checked = replayed ? static_cast<BlockDevice&>(overlay) : device;
  check_checkpoint(checked, options, &report);
  return report;
}

Result<uint64_t> replay_volume(BlockDevice& device, std::string* why) {
  SCALEFS_TRY(Superblock sb, read_newest_superblock(device, why));
  SCALEFS_TRY(RecoveredJournal journal, recover_journal(device, sb, /*take_prefix=*/false, why));
  uint64_t batches = journal.batches.size();
  if (batches == 0) return batches;
  journal.batches.clear();
  SCALEFS_TRY(std::unique_ptr<DiskFs> fs, DiskFs::mount(device, {}, why));
  Status unmounted = fs->unmount();
  if (!unmounted.ok()) {
    *why = fmt::format("writing failed: {}", std::strerror(unmounted.code()));
    return unmounted.error();
  }
  return batches;
}

}  // namespace scalefs::diskfs
