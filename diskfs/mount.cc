// Mounting: superblock, maps, journal, and the first superblock of a new mount epoch (P8).
#include <fmt/format.h>

#include <cstring>

#include "base/log.h"
#include "diskfs/batch_scan.h"
#include "diskfs/diskfs_impl.h"
#include "diskfs/stand_in.h"

namespace scalefs::diskfs {

Result<std::unique_ptr<DiskFs>> DiskFs::mount(BlockDevice& device, const MountOptions& options,
                                              std::string* why) {
  std::string ignored;
  if (why == nullptr) why = &ignored;
  why->clear();
  const auto refuse = [why](Errno error, const char* doing) {
    if (why->empty()) *why = fmt::format("{}: {}", doing, std::strerror(error.code()));
    return error;
  };
  if (!options.recover && !options.read_only) {
    *why = "a volume that is not recovered can only be read";
    return Errno(EINVAL);
  }
  std::unique_ptr<OverlayDevice> overlay;
  if (options.read_only) overlay = std::make_unique<OverlayDevice>(device);
  BlockDevice& below = overlay ? static_cast<BlockDevice&>(*overlay) : device;

  auto sb = read_newest_superblock(below, why);
  if (!sb.ok()) return refuse(sb.error(), "reading the superblocks");
  if (is_metadata_image(*sb) && !options.metadata_image) {
    *why = "this is a metadata image, made by scalefs-image: it has no data, and names that stand for others";
    return Errno(ENOTSUP);
  }
  if (!options.read_only && (device.read_only() || must_mount_read_only(*sb))) {
    *why = device.read_only() ? "the device is read-only"
                              : "the volume has features that this version can only read";
    return Errno(EROFS);
  }
  auto map = SpaceMap::load(below, *sb, why);
  if (!map.ok()) return refuse(map.error(), "reading the allocation maps");
  RecoveredJournal journal;
  if (options.recover) {
    auto recovered = recover_journal(below, *sb, options.read_only, why);
    if (!recovered.ok()) return refuse(recovered.error(), "reading the journal");
    journal = std::move(*recovered);
  } else {
    journal.end = journal_start(*sb);
    if ((sb->state & kStateClean) == 0) {
      log_warning("the journal is left out: the volume is shown as its last checkpoint has it");
    }
  }
  if (journal.damaged) log_warning("{}; going on without what follows", *why);
  why->clear();

  auto fs = std::make_unique<DiskFsImpl>(below, std::move(overlay), *sb, std::move(*map), options);
  const Status started = fs->start(std::move(journal));
  if (!started.ok()) return refuse(started.error(), "applying the journal");
  return std::unique_ptr<DiskFs>(std::move(fs));
}

Status DiskFsImpl::start(RecoveredJournal journal) {
  for (const auto& batch : journal.batches) {
    SCALEFS_TRY_VOID(visit_extents(
        batch->payload(), [this](BlockNo first, std::span<const uint32_t> crcs) -> Status {
          allocator_.take({first, crcs.size()});
          return {};
        }));
  }
  MutexLock lock(checkpoint_mutex_);
  {
    SpinLock current(current_lock_);
    current_ = std::make_shared<CheckpointPin::State>(store_, sb_, pin_ends_);
  }
  measure_tree();
  committed_seq_.store(journal.end.sequence - 1, release);  // pairs with committed_seq()
  checkpointed_seq_.store(sb_.covered_seq, release);        // pairs with checkpointed_seq()
  {
    MutexLock state_lock(state_mutex_);
    end_ = journal.end;
    covered_ = released_ = sb_.journal_scan;
    for (const auto& batch : journal.batches) pending_.push(batch);
    note_inodes();
  }
  writer_ = std::make_unique<JournalWriter>(device_, area_, info_.mount_epoch, journal.end);
  if (!journal.batches.empty()) {
    SCALEFS_TRY_VOID(run_checkpoint(journal.batches));
  } else if (!read_only()) {
    SCALEFS_TRY_VOID(renew_superblock(sb_.state & ~kStateClean));
  }
  inos_.begin(sb_.next_ino);  // beyond every number that a replayed batch named
  return {};
}

}  // namespace scalefs::diskfs
