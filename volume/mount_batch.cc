#include "volume/mount_batch.h"

#include <utility>

#include "base/log.h"
#include "memfs/record_places.h"

namespace scalefs::volume {

namespace {

constexpr size_t kOrphansARound = 256;

Status end_orphan(const diskfs::TreeReader& reader, Ino ino, diskfs::Batch* batch) {
  const auto item = reader.inode(ino);
  if (!item.ok() && item.code() != ENOENT) return item.error();
  batch->del_orphan(ino);
  if (!item.ok()) return {};
  if (item->nlink != 0) {
    log_warning("inode {} is called an orphan but has {} links; it is kept", ino.v, item->nlink);
    return {};
  }
  batch->delete_inode(ino);
  return {};
}

// How many of at most kOrphansARound orphans may end before the next checkpoint: as many as half of the
// free blocks are enough for. A full volume keeps enough for one (block_credits.h).
size_t orphans_a_round(const diskfs::DiskFs& disk, uint64_t free_blocks) {
  size_t count = kOrphansARound;
  for (; count > 1; count /= 2) {
    diskfs::PendingWork work;
    work.places = count * memfs::kReclaimPlaces;
    work.items = count;
    work.item_bytes = count * kBlockBytes;
    if (disk.checkpoint_blocks_bound(work) <= free_blocks / 2) break;
  }
  return count;
}

}  // namespace

Status commit_mount_batches(diskfs::DiskFs& disk, MnodeMarks& marks) {
  diskfs::Batch batch;
  const MnodeMarks::Marks pending = marks.pending();
  for (const auto& [slot, counter] : pending) batch.set_mnode_mark(slot, counter);
  Ino from{1};
  while (true) {
    const size_t count = orphans_a_round(disk, disk.allocator().free_blocks());
    size_t found = 0;
    {
      const diskfs::CheckpointPin pin = disk.pin();
      SCALEFS_TRY(const std::vector<Ino> orphans, pin.reader().orphans(from, count));
      for (const Ino ino : orphans) SCALEFS_TRY_VOID(end_orphan(pin.reader(), ino, &batch));
      found = orphans.size();
      if (found != 0) from = Ino(orphans.back().v + 1);
    }
    SCALEFS_TRY_VOID(disk.commit(std::exchange(batch, {})));
    if (found < count) break;
    // The second one releases what the first one freed.
    if (count < kOrphansARound) {
      SCALEFS_TRY_VOID(disk.checkpoint());
      SCALEFS_TRY_VOID(disk.checkpoint());
    }
  }
  marks.committed(pending);
  return {};
}

}  // namespace scalefs::volume
