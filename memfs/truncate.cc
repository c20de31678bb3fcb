#include <algorithm>
#include <new>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

// Pages of one leaf that lose their place together: one object to retire instead of many.
struct PageBatch {
  size_t count = 0;
  std::byte* pages[PageTree::kLeafPages];

  void add(std::byte* page) { pages[count++] = page; }
  void retire() {
    if (count == 0) return;
    auto* batch = count == 1 ? nullptr : new (std::nothrow) PageBatch(*this);
    if (batch == nullptr) {
      for (size_t i = 0; i < count; ++i) retire_page(pages[i]);
      return;
    }
    epoch::retire(batch, [](void* p) {
      auto* self = static_cast<PageBatch*>(p);
      for (size_t i = 0; i < self->count; ++i) free_page(self->pages[i]);
      delete self;
    });
  }
};

}  // namespace

Status FileNode::truncate(MemFs::Impl& impl, Mnode& mnode, uint64_t size, int64_t now_ns) {
  return FileAccess(impl, mnode).truncate(size, now_ns);
}

// The page that the slot loses, or null.
std::byte* FileAccess::drop_slot(uint64_t index, PageSlot& slot, Room& room) {
  const bool head = index < PageTree::kHeadPages;
  const bool was_mapped = slot.is_mapped();
  ++slot.generation;
  std::byte* page = slot.page.load(relaxed);
  slot.seq.begin_write();
  slot.page.store(nullptr, relaxed);
  slot.view.fetch_and(static_cast<uint8_t>(~(PageSlot::kZero | PageSlot::kInside)), relaxed);
  if (head) slot.view.fetch_or(PageSlot::kZero, relaxed);
  slot.seq.end_write();
  if (page != nullptr) impl_.data->count_page(-1);
  if (slot.dirty) {
    impl_.data->count_dirty(-1);
    lost_times_ = true;
  }
  if (slot.reserved) ++room.blocks;
  slot.dirty = false;
  if (head) note_open(index, slot);
  slot.reserved = false;
  slot.map = head ? MapKind::hole : MapKind::absent;
  if (!head) slot.stamp = 0;
  count_mapped(head, index, slot, was_mapped);
  if (head) node_.tree_.mark(index).state.fetch_and(static_cast<uint8_t>(~PageMark::kInside), relaxed);
  return page;
}

void FileAccess::drop_pages(uint64_t from, uint64_t to, Room& room) {
  while (from < to) {
    Leaf* leaf = node_.tree_.next_leaf(from);
    if (leaf == nullptr || leaf->begin >= to) return;
    bool bare = leaf->begin >= from && leaf->end <= to;
    const uint64_t last = std::min(to, leaf->end);
    PageBatch pages;
    for (uint64_t page = std::max(from, leaf->begin); page < last; ++page) {
      PageSlot& slot = leaf->slot(page);
      SpinLock lock(slot.lock);
      if (std::byte* bytes = drop_slot(page, slot, room)) pages.add(bytes);
      if (slot.writeback) bare = false;
    }
    pages.retire();
    from = leaf->end;
    if (leaf->is_head() || !bare) continue;
    node_.mutex_.assert_held();
    free_leaf(*leaf);
  }
}

// Absent slots stay so while we hold the mutex.
void FileAccess::free_leaf(Leaf& leaf) {
  if (!node_.dirty_.remove(leaf)) return;  // it stays, empty
  for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
    PageSlot& slot = leaf.slot(page);
    SpinLock lock(slot.lock);
    SCALEFS_CHECK(slot.map == MapKind::absent && !slot.writeback);
    slot.view.fetch_or(PageSlot::kDead, relaxed);
  }
  node_.tree_.remove(leaf);
}

FileAccess::Put FileAccess::part_ready(uint64_t offset, uint64_t* missing) {
  if (offset % kBlockBytes == 0) return Put::done;
  *missing = offset >> kBlockShift;
  PageSlot& slot = leaf_at(*missing).slot(*missing);
  SpinLock lock(slot.lock);
  if (slot.map == MapKind::absent && !resolve(slot, *missing)) return Put::unknown;
  return slot.page.load(relaxed) == nullptr && slot.map == MapKind::block ? Put::unloaded
                                                                           : Put::done;
}

void FileAccess::zero_part(uint64_t from, uint64_t to, Room& room) {
  if (from >= to) return;
  const uint64_t index = from >> kBlockShift;
  Leaf* leaf = node_.tree_.find_leaf(index);
  if (leaf == nullptr) return;
  PageSlot& slot = leaf->slot(index);
  SpinLock lock(slot.lock);
  std::byte* page = slot.page.load(relaxed);
  if (page == nullptr) return;
  (void)take_block(slot, room);
  const bool was_mapped = slot.is_mapped();
  slot.seq.begin_write();
  racy_zero(page + from % kBlockBytes, to - from);
  slot.seq.end_write();
  changed(*leaf, index, slot, was_mapped);
}

// After the size was stored: the page in which the file ends now is not wholly inside any more.
void FileAccess::clear_inside(uint64_t page) {
  PageSlot* slot = node_.tree_.find(page);
  if (slot == nullptr) return;
  SpinLock lock(slot->lock);
  slot->seq.begin_write();
  slot->view.fetch_and(static_cast<uint8_t>(~PageSlot::kInside), relaxed);
  slot->seq.end_write();
  if (page < PageTree::kHeadPages)
    node_.tree_.mark(page).state.fetch_and(static_cast<uint8_t>(~PageMark::kInside), relaxed);
}

FileAccess::Put FileAccess::resize_ready(uint64_t size, uint64_t* missing) {
  return size < node_.frozen_size() ? part_ready(size, missing) : Put::done;
}

void FileAccess::resize(uint64_t size, const AbsentPages& absent, RangeHold& hold, Room& room,
                        std::unique_ptr<OpRecord> record, int64_t now_ns) {
  const uint64_t cut = pages_of(size);
  // Of the first pages those that are held; the others stand for nothing.
  const uint64_t used = last_used();
  const uint64_t rest = std::max(cut, PageTree::kHeadPages);
  const uint64_t old = node_.frozen_size();
  const bool shrinks = size < old;
  const AbsentPages::Count gone = count_absent(absent, rest, kEndPage);
  node_.dirty_.collect();
  mark_holes(cut, kEndPage);  // nothing throws behind this
  FileNode::Settling settling(node_);
  const uint64_t logged = node_.logged_size_.load(relaxed);
  node_.logged_size_.store(std::min(logged, size), release);
  if (record != nullptr) {
    // Where the log has the whole size and all of its last page, nothing is left that a larger size would show.
    const uint64_t covered =
        logged >= old && !is_tail_open(old) ? size : covered_size(size, {}, false);
    std::get<TruncateOp>(record->op).covered_size = covered;
    node_.logged_size_.store(covered, release);
  }
  const Stamp stamp =
      log(std::move(record), hold, room, now_ns, [&] { node_.store_size(size); });
  node_.overlay_.settle(stamp);
  node_.cut_stamp_.store(stamp, relaxed);  // see RangeHold::may_extend
  drop_pages(cut, used, room);
  drop_pages(rest, kEndPage, room);
  room.blocks += gone.reserved;
  if (cut == 0) {
    for (uint64_t page = 0; page < PageTree::kHeadPages; ++page) {
      PageMark& mark = node_.tree_.mark(page);
      if (!mark.has(PageMark::kInBase)) continue;
      SpinLock lock(node_.tree_.head_slot(page).lock);
      mark.state.fetch_and(static_cast<uint8_t>(~PageMark::kInBase), relaxed);
    }
    node_.mapped_pages_.store(0, relaxed);
  } else {
    node_.mapped_pages_.fetch_sub(static_cast<int64_t>(gone.mapped), relaxed);
  }
  if (shrinks && size % kBlockBytes != 0) {
    clear_inside(size >> kBlockShift);
    zero_part(size, cut << kBlockShift, room);
  }
}

bool FileAccess::is_tail_open(uint64_t size) const {
  if (size % kBlockBytes == 0) return false;
  const uint64_t page = size >> kBlockShift;
  return page >= PageTree::kHeadPages || (node_.tails_open_.load(relaxed) >> page & 1) != 0;
}

FileAccess::Put FileAccess::settle_last_page(Room& room, uint64_t* missing) {
  const uint64_t size = node_.frozen_size();
  if (!backed_ || size % kBlockBytes == 0) return Put::done;
  *missing = size >> kBlockShift;
  Leaf& leaf = leaf_at(*missing);
  PageSlot& slot = leaf.slot(*missing);
  SpinLock lock(slot.lock);
  if (slot.map == MapKind::absent && !resolve(slot, *missing)) return Put::unknown;
  if (slot.page.load(relaxed) == nullptr)
    return slot.map == MapKind::block ? Put::unloaded : Put::done;
  if (slot.dirty) return Put::done;
  if (!take_block(slot, room)) return Put::no_room;
  changed(leaf, *missing, slot, slot.is_mapped());
  return Put::done;
}

// What was made durable of data without its size, before a crash, must not come up again when the
// file grows over it. Afterwards memory has zeros behind the end, and so has what it writes.
Status FileAccess::settle_tail() {
  while (node_.tail_unknown_.load(relaxed)) {
    const uint64_t size = node_.size();
    const uint64_t end = pages_of(size);
    SCALEFS_TRY(AbsentPages absent, find_absent(end, kEndPage));
    for (uint64_t page = PageTree::kHeadPages; page-- > end;) {
      if (node_.tree_.mark(page).has(PageMark::kData))
        absent.runs.insert(absent.runs.begin(), {page, page + 1, false});
    }
    Room room(impl_);
    const uint64_t runs = absent.runs.size();
    SCALEFS_TRY_VOID(room.take(Need{.log_bytes = runs * kRecordLogBytes,
                                    .blocks = 1,
                                    .memory_bytes = kBlockBytes,
                                    .tree_places = kRangePlaces * static_cast<uint32_t>(runs),
                                    .always = true}));
    std::vector<std::unique_ptr<OpRecord>> records;
    for (const AbsentPages::Run& run : absent.runs) {
      if (run.unwritten) continue;
      records.push_back(impl_.make_record(
          PunchOp{.target = mnode_.number, .from_page = run.from, .to_page = run.to,
                  .covered_size = 0},
          kRecordLogBytes));
    }
    uint64_t missing = 0;
    Put ready;
    {
      Listing listing(*this);
      SleepLock change(mnode_.change_lock);
      RangeHold hold(node_, 0, kEndPage);
      node_.mutex_.assert_held();
      if (!still_good(absent) || !node_.tail_unknown_.load(relaxed) ||
          node_.frozen_size() != size || !head_known(end, kEndPage))
        continue;
      ready = settle_last_page(room, &missing);
      if (ready == Put::done) {
        node_.dirty_.collect();
        for (const auto& record : records) {
          auto& op = std::get<PunchOp>(record->op);
          const AbsentPages::Count gone = count_absent(absent, op.from_page, op.to_page);
          mark_holes(op.from_page, op.to_page);
          op.covered_size = node_.logged_size_.load(relaxed);
          node_.mapped_pages_.fetch_sub(static_cast<int64_t>(gone.mapped), relaxed);
          drop_pages(op.from_page, op.to_page, room);
        }
        if (!records.empty())
          node_.overlay_.settle(log_all(records, hold, room, 0, [] {}));
        node_.tail_unknown_.store(false, relaxed);
        return {};
      }
    }
    SCALEFS_TRY_VOID(load(ready, missing));
  }
  return {};
}

// Behind the last of the first pages that the file reaches or that stands for something. The size is frozen.
uint64_t FileAccess::last_used() {
  const uint64_t end = std::min(pages_of(node_.frozen_size()), PageTree::kHeadPages);
  for (uint64_t page = PageTree::kHeadPages; page-- > end;) {
    const PageMark& mark = node_.tree_.mark(page);
    if (!mark.has(PageMark::kKnown) || mark.has(PageMark::kMapped)) return page + 1;
  }
  return end;
}

bool FileAccess::ends_at(uint64_t size) {
  if (node_.tail_unknown_.load(relaxed) || node_.rest_used_.load(acquire)) return false;
  for (uint64_t page = pages_of(size); page < PageTree::kHeadPages; ++page) {
    const PageMark& mark = node_.tree_.mark(page);
    if (!mark.has(PageMark::kKnown) || mark.has(PageMark::kMapped)) return false;
  }
  return node_.size() == size;
}

Status FileAccess::log_times(int64_t now_ns) {
  Room room(impl_);
  SCALEFS_TRY_VOID(room.take(Need{.log_bytes = kRecordLogBytes,
                                  .tree_places = kAttributePlaces,
                                  .always = true}));
  auto record = impl_.make_record(
      ExtentsOp{.target = mnode_.number, .runs = {}, .covered_size = kSizeUnchanged},
      kRecordLogBytes);
  (void)log_own({&record, record != nullptr ? size_t{1} : size_t{0}}, nullptr, room, now_ns,
                [] {});
  return {};
}

Status FileAccess::truncate(uint64_t size, int64_t now_ns) {
  if (size > kFileBytesMax) return Errno(EFBIG);
  if (ends_at(size)) return log_times(now_ns);
  Listing listing(*this);
  Room room(impl_);
  const Need need{.log_bytes = kRecordLogBytes,
                  .blocks = 1,
                  .memory_bytes = kBlockBytes,
                  .tree_places = kRangePlaces,
                  .always = true};
  SCALEFS_TRY_VOID(room.take(need));
  auto record = impl_.make_record(
      TruncateOp{.target = mnode_.number, .size = size, .covered_size = 0}, need.log_bytes);
  unlogged_ = true;
  for (;;) {
    if (size > node_.size()) SCALEFS_TRY_VOID(settle_tail());
    // A file that becomes empty maps nothing: there is nothing to count.
    AbsentPages absent;
    const bool count = size != 0;
    const uint64_t cut = pages_of(size);
    if (count) {
      SCALEFS_TRY(absent, find_absent(cut, kEndPage));
    }
    uint64_t missing = 0;
    Put ready;
    {
      SleepLock change(mnode_.change_lock);
      // Who extends the file within the new size does not change it: whether it came before or after, nobody sees.
      SizeFreeze freeze(node_, size >> kBlockShift);
      RangeHold hold(node_, size >> kBlockShift, last_used(), true);
      node_.mutex_.assert_held();
      if (count && (!still_good(absent) || !head_known(cut, kEndPage))) continue;
      if (size > node_.frozen_size() && node_.tail_unknown_.load(relaxed)) continue;
      ready = resize_ready(size, &missing);
      if (ready == Put::done) {
        resize(size, absent, hold, room, std::move(record), now_ns);
        return {};
      }
    }
    SCALEFS_TRY_VOID(load(ready, missing));
  }
}

}  // namespace scalefs::memfs
