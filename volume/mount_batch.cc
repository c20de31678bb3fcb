#include "volume/mount_batch.h"

#include "base/log.h"

namespace scalefs::volume {

namespace {

constexpr size_t kOrphansARound = 256;
// del_orphan and delete_inode, or one mark.
constexpr size_t kBytesAnItem = 24;

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

}  // namespace

Status commit_mount_batches(diskfs::DiskFs& disk, MnodeMarks& marks) {
  diskfs::Batch batch;
  const MnodeMarks::Marks pending = marks.pending();
  for (const auto& [slot, counter] : pending) batch.set_mnode_mark(slot, counter);

  const diskfs::CheckpointPin pin = disk.pin();
  Ino from{1};
  while (true) {
    SCALEFS_TRY(const std::vector<Ino> orphans, pin.reader().orphans(from, kOrphansARound));
    for (const Ino ino : orphans) {
      SCALEFS_TRY_VOID(end_orphan(pin.reader(), ino, &batch));
      if (batch.size_bytes() + kBytesAnItem > disk.batch_bytes_max()) {
        SCALEFS_TRY_VOID(disk.commit(batch));
        batch.clear();
      }
    }
    if (orphans.size() < kOrphansARound) break;
    from = Ino(orphans.back().v + 1);
  }
  SCALEFS_TRY_VOID(disk.commit(batch));
  marks.committed(pending);
  return {};
}

}  // namespace scalefs::volume
