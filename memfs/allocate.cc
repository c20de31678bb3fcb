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

// The holes of the range go to the overlay, with and without slots, so that they make long intervals; those of
// the first pages stay in their slots.
void FileAccess::mark_unwritten(const AbsentPages& absent, uint64_t from, uint64_t to) {
  from = std::max(from, PageTree::kHeadPages);
  if (from >= to) return;
  node_.mutex_.assert_held();
  node_.note_rest();
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
  uint64_t rest = 0;
  while (from < to) {
    Leaf* leaf = node_.tree_.next_leaf(from);
    if (leaf == nullptr || leaf->begin >= to) break;
    for (uint64_t page = std::max(from, leaf->begin); page < std::min(to, leaf->end); ++page) {
      PageSlot& slot = leaf->slot(page);
      SpinLock lock(slot.lock);
      if (slot.map != MapKind::hole || slot.page.load(relaxed) != nullptr) continue;
      slot.map = MapKind::unwritten;
      slot.reserved = backed_;
      if (leaf->is_head()) count_mapped(true, page, slot, false);
      ++filled;
      rest += leaf->is_head() ? 0 : 1;
    }
    from = leaf->end;
  }
  if (rest != 0) node_.mapped_pages_.fetch_add(static_cast<int64_t>(rest), relaxed);
  return filled;
}

// Makes the holes of the pages unwritten, after the record; `bare`: how many have no slot.
void FileAccess::fill_pages(uint64_t from, uint64_t to, uint64_t bare, Room& room) {
  if (bare != 0) node_.mapped_pages_.fetch_add(static_cast<int64_t>(bare), relaxed);
  const uint64_t filled = bare + fill_slots(from, to);
  if (backed_) room.blocks -= filled;
}

// All that the call would do is done already: nothing but times changes.
bool FileAccess::is_filled(const ByteRange& range, bool may_grow) {
  if (range.last() > PageTree::kHeadPages) return false;
  if (may_grow && node_.tail_unknown_.load(relaxed)) return false;
  for (uint64_t page = range.first(); page < range.last(); ++page)
    if (!node_.tree_.mark(page).has(PageMark::kMapped)) return false;
  if (!may_grow) return true;
  // As far as the last page's own line tells, so that no call on a page behind it is met (I1).
  const PageMark& mark = node_.tree_.mark(range.last() - 1);
  return mark.has(PageMark::kInside) ||
         ((range.last() - 1) << kBlockShift) + mark.end.load(acquire) >= range.end;
}

// Of a call that holds the last page of the new size; the size is logged like that of a write.
void FileAccess::grow_to(uint64_t size) {
  node_.raise_size(size);
  unlogged_ = true;
}

Status FileAccess::fill(const ByteRange& range, bool may_grow) {
  if (is_filled(range, may_grow)) return log_times(wall_coarse_ns());
  Listing listing(*this);
  uint64_t wanted = 0;
  for (;;) {
    if (may_grow) SCALEFS_TRY_VOID(settle_tail());
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
                                               .covered_size = kSizeUnchanged},
                                    kRecordLogBytes);
    RangeHold hold(node_, range.first(), range.last());
    if (hold.rest() && !still_good_held(absent)) continue;
    if (!head_known(range.first(), range.last())) continue;
    if (!hold.may_extend()) {
      hold.release();
      SizeFreeze::wait(node_);
      continue;
    }
    const uint64_t holes = count_holes(absent, range.first(), range.last(), false);
    if (holes > wanted) {
      wanted = holes;
      if (backed_) continue;
    }
    fill_held(range, may_grow, absent, hold, room, std::move(record));
    return {};
  }
}

void FileAccess::fill_held(const ByteRange& range, bool may_grow, const AbsentPages& absent,
                           RangeHold& hold, Room& room, std::unique_ptr<OpRecord> record) {
  const uint64_t bare = count_holes(absent, range.first(), range.last(), true);
  mark_unwritten(absent, range.first(), range.last());
  const Stamp stamp = log_own({&record, record != nullptr ? size_t{1} : size_t{0}}, &hold, room,
                              wall_coarse_ns(), [&] {
                                if (may_grow) grow_to(range.end);
                              });
  settle_overlay(hold, stamp);
  fill_pages(range.first(), range.last(), bare, room);
}

// The hole that the range of pages is already: nothing but times changes.
bool FileAccess::is_clear(const ByteRange& range) {
  if (range.last() > PageTree::kHeadPages) return false;
  for (uint64_t page = range.first(); page < range.last(); ++page) {
    const PageMark& mark = node_.tree_.mark(page);
    const bool part = page < range.inner_first() || page >= range.inner_last();
    // Zeros of an unwritten page stay zeros; a page that lies wholly inside must not be mapped.
    if (!mark.has(PageMark::kKnown) || mark.has(part ? PageMark::kData : PageMark::kMapped))
      return false;
  }
  return true;
}

// Punching, and zeroing (`unwritten`: the pages stay allocated).
Status FileAccess::clear(const ByteRange& range, bool unwritten, bool may_grow) {
  if (!unwritten && is_clear(range)) return log_times(wall_coarse_ns());
  Listing listing(*this);
  const uint64_t pages = unwritten ? range.last() - range.first() : 0;
  for (;;) {
    if (may_grow) SCALEFS_TRY_VOID(settle_tail());
    SCALEFS_TRY(const AbsentPages absent, find_absent(range.first(), range.last()));
    Room room(impl_);
    // Two blocks for the pages that are cut.
    SCALEFS_TRY_VOID(room.take(Need{.log_bytes = 2 * kRecordLogBytes,
                                    .blocks = pages + 2,
                                    .memory_bytes = 2 * kBlockBytes,
                                    .tree_places = kRangePlaces + allocate_places(pages),
                                    .always = !unwritten}));
    auto records = clear_records(range, unwritten);
    uint64_t missing = 0;
    Put ready;
    {
      RangeHold hold(node_, range.first(), range.last());
      if (hold.rest() && !still_good_held(absent)) continue;
      if (!head_known(range.first(), range.last())) continue;
      if (unwritten && !hold.may_extend()) {
        hold.release();
        SizeFreeze::wait(node_);
        continue;
      }
      ready = part_ready(range.begin, &missing);
      if (ready == Put::done) ready = part_ready(range.end, &missing);
      if (ready == Put::done) {
        clear_held(range, unwritten, may_grow, absent, hold, room, std::move(records));
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
                                                .covered_size = kSizeUnchanged},
                                        kRecordLogBytes));
  }
  if (unwritten) {
    records.push_back(impl_.make_record(AllocateOp{.target = mnode_.number,
                                                   .page = range.first(),
                                                   .count = range.last() - range.first(),
                                                   .covered_size = kSizeUnchanged},
                                        kRecordLogBytes));
  }
  return records;
}

void FileAccess::clear_held(const ByteRange& range, bool unwritten, bool may_grow,
                            const AbsentPages& absent, RangeHold& hold, Room& room,
                            std::vector<std::unique_ptr<OpRecord>> records) {
  const uint64_t from = range.inner_first();
  const uint64_t to = range.inner_last();
  const AbsentPages::Count gone = count_absent(absent, from, to);
  // The cut pages: [range.first(), left) and [right, range.last()).
  const uint64_t left = std::min(from, range.last());
  const uint64_t right = std::max(to, left);
  // Holes without a slot once the inner pages are gone; the first pages have one.
  const uint64_t inner_bare = to - std::min(to, std::max(from, PageTree::kHeadPages));
  const uint64_t bare = count_holes(absent, range.first(), left, true) + inner_bare +
                        count_holes(absent, right, range.last(), true);
  if (hold.rest()) {
    node_.mutex_.assert_held();
    node_.dirty_.collect();
    const uint64_t rest_from = std::max(from, PageTree::kHeadPages);
    if (unwritten) {
      mark_unwritten(absent, range.first(), left);
      mark_unwritten(absent, right, range.last());
      if (rest_from < to) node_.overlay_.set_unwritten(rest_from, to);
      node_.note_rest();
    } else if (range.has_inner()) {
      mark_holes(from, to);
    }
  }
  const Stamp stamp = log_own(records, &hold, room, wall_coarse_ns(), [&] {
    if (may_grow) grow_to(range.end);
  });
  settle_overlay(hold, stamp);
  drop_pages(from, to, room);
  room.blocks += gone.reserved;
  if (gone.mapped != 0)
    node_.mapped_pages_.fetch_sub(static_cast<int64_t>(gone.mapped), relaxed);
  const uint64_t first_end = std::min(range.end, from << kBlockShift);
  zero_part(range.begin, first_end, room);
  zero_part(std::max(first_end, to << kBlockShift), range.end, room);
  if (unwritten) fill_pages(range.first(), range.last(), bare, room);
}

}  // namespace scalefs::memfs
