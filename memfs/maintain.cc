#include <new>

#include "memfs/directory.h"
#include "memfs/impl.h"
#include "memfs/reclaim.h"

namespace scalefs::memfs {

void MemFs::Impl::note_tombstone(Mnode& directory) {
  if (!directory.directory->take_tombstone_note()) return;
  MutexLock lock(tombstones_lock);
  try {
    tombstone_directories.push_back(directory.number);
  } catch (const std::bad_alloc&) {
    directory.directory->drop_tombstone_note();  // the next removal notes it
  }
}

namespace {

// True when covered tombstones are left, because a load is running.
void purge_tombstones(MemFs::Impl& impl) {
  std::vector<MnodeNo> numbers;
  {
    MutexLock lock(impl.tombstones_lock);
    numbers.swap(impl.tombstone_directories);
  }
  const Stamp durable = impl.durable_stamp.load(acquire);  // pairs with set_durable_stamp
  for (const MnodeNo number : numbers) {
    auto pin = Pin::of(impl, number);
    if (!pin.ok()) continue;  // gone, with its tombstones
    DirectoryNode& names = *(*pin)->directory;
    names.drop_tombstone_note();
    bool left = true;
    try {
      left = names.purge_tombstones(durable);
    } catch (const std::bad_alloc&) {
      // Another time.
    }
    if (left) impl.note_tombstone(**pin);
  }
}

}  // namespace

bool MemFs::maintain() {
  const bool more = impl_->reclaimer->round(*impl_);
  if (impl_->backend != nullptr) purge_tombstones(*impl_);
  epoch::try_advance();
  return more;
}

}  // namespace scalefs::memfs
