// What is not in memory: mappings, bytes, and how much of a range is mapped (P3, P4, P6).
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {

Status FileAccess::load(Put why, uint64_t page) {
  if (why == Put::unknown) return load_slot(page);
  if (why == Put::unloaded) return load_page(page, 0);
  return Errno(ENOSPC);
}

void FileAccess::set_zero(PageSlot& slot, MapKind map) {
  slot.map = map;
  slot.stamp = 0;
  slot.reserved = backed_ && map == MapKind::unwritten;
  slot.seq.begin_write();
  slot.view.fetch_or(PageSlot::kZero, relaxed);
  slot.seq.end_write();
}

bool FileAccess::resolve(PageSlot& slot, uint64_t page) {
  const std::optional<Overlay::Kind> kind = node_.overlay_.at(page);
  if (kind ? *kind == Overlay::Kind::filled : backed_) return false;
  set_zero(slot, kind == Overlay::Kind::unwritten ? MapKind::unwritten : MapKind::hole);
  return true;
}

Status FileAccess::load_slot(uint64_t page) {
  MutexLock lock(node_.mutex_);
  PageSlot& slot = node_.tree_.leaf_of(page).slot(page);
  SpinLock slot_lock(slot.lock);
  if (slot.map == MapKind::absent) resolve(slot, page);
  return {};
}

Status FileAccess::load_page(uint64_t page, uint64_t) { return load_slot(page); }

void FileAccess::mark_holes(uint64_t from, uint64_t to) {
  if (backed_) {
    node_.overlay_.set_hole(from, to, Overlay::kUnsettled);
  } else {
    node_.overlay_.forget(from, to);
  }
}

Result<AbsentPages> FileAccess::find_absent(uint64_t, uint64_t) { return AbsentPages{}; }
bool FileAccess::still_good(const AbsentPages&) { return true; }
AbsentPages::Count FileAccess::count_absent(const AbsentPages&, uint64_t, uint64_t) { return {}; }
uint64_t FileAccess::covered_size(uint64_t size) { return size; }

}  // namespace scalefs::memfs
