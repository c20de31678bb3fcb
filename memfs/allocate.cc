// fallocate: reserving ranges, punching holes, zeroing.
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {

// A range of bytes: the pages that it touches, and those that lie wholly in it.
struct FileAccess::ByteRange {
  uint64_t begin, end;

  uint64_t first() const { return begin >> kBlockShift; }
  uint64_t last() const { return pages_of(end); }
  uint64_t inner_first() const { return pages_of(begin); }
  uint64_t inner_last() const { return std::max(inner_first(), end >> kBlockShift); }
  bool has_inner() const { return inner_first() < inner_last(); }
};

Status FileAccess::allocate(AllocateMode mode, uint64_t offset, uint64_t length) {
  if (length == 0) return Errno(EINVAL);
  if (offset > kFileBytesMax || length > kFileBytesMax - offset) return Errno(EFBIG);
  const ByteRange range{offset, offset + length};
  switch (mode) {
    case AllocateMode::allocate: return fill(range, true);
    case AllocateMode::allocate_keep_size: return fill(range, false);
    case AllocateMode::punch_hole: return clear(range, false, false);
    case AllocateMode::zero_range: return clear(range, true, true);
    case AllocateMode::zero_range_keep_size: return clear(range, true, false);
  }
  return Errno(EINVAL);
}

uint64_t FileAccess::count_holes(const AbsentPages& absent, uint64_t from, uint64_t to,
                                 bool bare) {
  uint64_t holes = 0;
  walk(absent, from, to, [&](const Piece& piece) {
    if (piece.kind == MapKind::hole && !(bare && piece.known)) holes += piece.to - piece.from;
    return true;
  });
  return holes;
}

// The holes of the range go to the overlay, with and without slots, so that they make long intervals.
void FileAccess::mark_unwritten(const AbsentPages& absent, uint64_t from, uint64_t to) {
  std::vector<Piece> holes;
  walk(absent, from, to, [&](const Piece& piece) {
    if (piece.kind != MapKind::hole) return true;
    if (!holes.empty() && holes.back().to == piece.from) {
      holes.back().to = piece.to;
    } else {
      holes.push_back(piece);
    }
    return true;
  });
  for (const Piece& hole : holes) node_.overlay_.set_unwritten(hole.from, hole.to);
}

// Slots in [from, to) that stand for holes stand for unwritten pages from now on. How many.
uint64_t FileAccess::fill_slots(uint64_t from, uint64_t to) {
  uint64_t filled = 0;
  for (Leaf* leaf = node_.tree_.next_leaf(from); leaf != nullptr && leaf->begin < to;
       leaf = node_.tree_.next_leaf(leaf->end)) {
    for (uint64_t page = std::max(from, leaf->begin); page < std::min(to, leaf->end); ++page) {
      PageSlot& slot = leaf->slot(page);
      SpinLock lock(slot.lock);
      if (slot.map != MapKind::hole || slot.page.load(relaxed) != nullptr) continue;
      slot.map = MapKind::unwritten;
      slot.reserved = backed_;
      ++filled;
    }
  }
  return filled;
}

// Makes the holes of the pages unwritten, after the record; `bare`: how many have no slot.
void FileAccess::fill_pages(uint64_t from, uint64_t to, uint64_t bare, Room& room) {
  const uint64_t filled = bare + fill_slots(from, to);
  node_.mapped_pages_.fetch_add(static_cast<int64_t>(filled), relaxed);
  if (backed_) room.blocks -= filled;
}

Status FileAccess::fill(const ByteRange& range, bool may_grow) {
  Listing listing(*this);
  uint64_t wanted = 0;
  for (;;) {
    SCALEFS_TRY_VOID(settle_tail());
    SCALEFS_TRY(const AbsentPages absent, find_absent(range.first(), range.last()));
    Room room(impl_);
    SCALEFS_TRY_VOID(room.take(Need{.log_bytes = kRecordLogBytes,
                                    .blocks = wanted + 1,
                                    .memory_bytes = kBlockBytes,
                                    .tree_places =
                                        allocate_places(range.last() - range.first())}));
    auto record = impl_.make_record(AllocateOp{.target = mnode_.number,
                                               .page = range.first(),
                                               .count = range.last() - range.first(),
                                               .covered_size = 0},
                                    kRecordLogBytes);
    uint64_t missing = 0;
    Put ready = Put::done;
    {
      MutexLock change(mnode_.change_lock);
      MutexLock lock(node_.mutex_);
      if (!still_good(absent)) continue;
      const uint64_t holes = count_holes(absent, range.first(), range.last(), false);
      if (holes > wanted) {
        wanted = holes;
        if (backed_) continue;
      }
      const bool grows = may_grow && range.end > node_.size();
      if (grows) ready = settle_last_page(room, &missing);
      if (ready == Put::done) {
        fill_locked(range, grows ? range.end : node_.size(), absent, room, std::move(record));
        return {};
      }
    }
    SCALEFS_TRY_VOID(load(ready, missing));
  }
}

void FileAccess::fill_locked(const ByteRange& range, uint64_t size, const AbsentPages& absent,
                             Room& room, std::unique_ptr<OpRecord> record) {
  const uint64_t bare = count_holes(absent, range.first(), range.last(), true);
  mark_unwritten(absent, range.first(), range.last());
  if (record != nullptr)
    std::get<AllocateOp>(record->op).covered_size = node_.logged_size_ = covered_size(size);
  node_.overlay_.settle(log(std::move(record), room, impl_.now_ns(), [&]() NO_THREAD_SAFETY_ANALYSIS { set_size(size); }));
  fill_pages(range.first(), range.last(), bare, room);
}

// Punching, and zeroing (`unwritten`: the pages stay allocated).
Status FileAccess::clear(const ByteRange& range, bool unwritten, bool may_grow) {
  Listing listing(*this);
  const uint64_t pages = unwritten ? range.last() - range.first() : 0;
  for (;;) {
    SCALEFS_TRY_VOID(settle_tail());
    SCALEFS_TRY(const AbsentPages absent, find_absent(range.first(), range.last()));
    Room room(impl_);
    // Two blocks for the pages that are cut, one for that in which the file ended.
    SCALEFS_TRY_VOID(room.take(Need{.log_bytes = 2 * kRecordLogBytes,
                                    .blocks = pages + 3,
                                    .memory_bytes = 3 * kBlockBytes,
                                    .tree_places = kRangePlaces + allocate_places(pages),
                                    .always = !unwritten}));
    auto records = clear_records(range, unwritten);
    uint64_t missing = 0;
    Put ready;
    {
      MutexLock change(mnode_.change_lock);
      MutexLock lock(node_.mutex_);
      if (!still_good(absent)) continue;
      const bool grows = may_grow && range.end > node_.size();
      ready = grows ? settle_last_page(room, &missing) : Put::done;
      if (ready == Put::done) ready = part_ready(range.begin, &missing);
      if (ready == Put::done) ready = part_ready(range.end, &missing);
      if (ready == Put::done) {
        const uint64_t size = grows ? range.end : node_.size();
        clear_locked(range, unwritten, size, absent, room, std::move(records));
        return {};
      }
    }
    SCALEFS_TRY_VOID(load(ready, missing));
  }
}

// A PunchOp for the pages that lie wholly inside, then for zeroing an AllocateOp for all.
std::vector<std::unique_ptr<OpRecord>> FileAccess::clear_records(const ByteRange& range,
                                                                 bool unwritten) {
  std::vector<std::unique_ptr<OpRecord>> records;
  if (!backed_) return records;
  if (range.has_inner() || !unwritten) {
    records.push_back(impl_.make_record(PunchOp{.target = mnode_.number,
                                                .from_page = range.inner_first(),
                                                .to_page = range.inner_last(),
                                                .covered_size = 0},
                                        kRecordLogBytes));
  }
  if (unwritten) {
    records.push_back(impl_.make_record(AllocateOp{.target = mnode_.number,
                                                   .page = range.first(),
                                                   .count = range.last() - range.first(),
                                                   .covered_size = 0},
                                        kRecordLogBytes));
  }
  return records;
}

void FileAccess::clear_locked(const ByteRange& range, bool unwritten, uint64_t size,
                              const AbsentPages& absent, Room& room,
                              std::vector<std::unique_ptr<OpRecord>> records) {
  const uint64_t from = range.inner_first();
  const uint64_t to = range.inner_last();
  const AbsentPages::Count gone = count_absent(absent, from, to);
  // The cut pages: [range.first(), left) and [right, range.last()).
  const uint64_t left = std::min(from, range.last());
  const uint64_t right = std::max(to, left);
  // Holes without a slot once the inner pages are gone.
  const uint64_t bare = count_holes(absent, range.first(), left, true) + (to - from) +
                        count_holes(absent, right, range.last(), true);
  node_.dirty_.collect();
  if (unwritten) {
    mark_unwritten(absent, range.first(), left);
    mark_unwritten(absent, right, range.last());
    node_.overlay_.set_unwritten(from, to);
  } else if (range.has_inner()) {
    mark_holes(from, to);
  }
  if (!records.empty()) node_.logged_size_ = covered_size(size, from, to);
  for (auto& record : records) {
    if (auto* punch = std::get_if<PunchOp>(&record->op)) punch->covered_size = node_.logged_size_;
    if (auto* fill = std::get_if<AllocateOp>(&record->op)) fill->covered_size = node_.logged_size_;
  }
  node_.overlay_.settle(
      log_all(records, room, impl_.now_ns(), [&]() NO_THREAD_SAFETY_ANALYSIS { set_size(size); }));
  drop_pages(from, to, room);
  room.blocks += gone.reserved;
  node_.mapped_pages_.fetch_sub(static_cast<int64_t>(gone.mapped), relaxed);
  const uint64_t first_end = std::min(range.end, from << kBlockShift);
  zero_part(range.begin, first_end, room);
  zero_part(std::max(first_end, to << kBlockShift), range.end, room);
  if (unwritten) fill_pages(range.first(), range.last(), bare, room);
}

}  // namespace scalefs::memfs
