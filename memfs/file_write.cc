// Writes. The caller's bytes are first copied to pages of our own, with nothing held (a caller's memory
// may fault, P6); such a page is installed as it is where the file has none in memory, else its bytes
// are copied on. From a Buffer::own they are copied at once over a page that is in memory.
#include <algorithm>
#include <array>
#include <cstring>

#include "memfs/file_access.h"
#include "memfs/page_run.h"

namespace scalefs::memfs {
namespace {

// Pages that one step writes under one hold of the mutex, and for which one reservation is made.
constexpr size_t kChunkPages = 32;

// Of a writing in order, the page that comes next: the lock of its slot waits until the bytes of this one are stored, and
// they are the sooner the less they wait for their lines.
void fetch_to_write(const PageSlot& slot) {
  const std::byte* const page = slot.page.load(relaxed);
  if (page == nullptr) return;
  for (size_t at = 0; at < kBlockBytes; at += 64) __builtin_prefetch(page + at, 1);
}

size_t part_in_page(uint64_t offset, size_t count) {
  return std::min<size_t>(kBlockBytes - offset % kBlockBytes, count);
}

}  // namespace

void FileAccess::note_write(int64_t now_ns) {
  // Before the bytes: whatever record carries them carries these times too. A write has no stamp; it counts
  // as the successor of the last explicit change.
  const Stamp after = mnode_.mtime_set_stamp.load(acquire);  // pairs with setattr's release
  impl_.deltas.add(mnode_, MetaDelta{.mtime_ns = now_ns, .ctime_ns = now_ns, .stamp = after + 1});
}

void FileAccess::count_mapped(bool head, uint64_t page, PageSlot& slot, bool was_mapped) {
  const bool mapped = slot.is_mapped();
  if (!head) {
    if (mapped != was_mapped) node_.mapped_pages_.fetch_add(mapped ? 1 : -1, relaxed);
    return;
  }
  constexpr uint8_t kStands = PageMark::kKnown | PageMark::kMapped | PageMark::kData;
  uint8_t stands = PageMark::kKnown;
  if (mapped) stands |= PageMark::kMapped;
  if (mapped && !(slot.map == MapKind::unwritten && slot.page.load(relaxed) == nullptr))
    stands |= PageMark::kData;
  Atomic<uint8_t>& state = node_.tree_.mark(page).state;
  const uint8_t old = state.load(relaxed);
  if ((old & kStands) != stands)
    state.store(static_cast<uint8_t>((old & ~kStands) | stands), release);
}

void FileAccess::note_open(uint64_t page, PageSlot& slot) {
  const bool open = slot.dirty || slot.writeback;
  // Release: pairs with all_logged.
  if (open != slot.has(PageSlot::kOpen)) {
    if (open)
      slot.view.fetch_or(PageSlot::kOpen, release);
    else
      slot.view.fetch_and(static_cast<uint8_t>(~PageSlot::kOpen), release);
  }
  const uint64_t end = node_.tree_.mark(page).end.load(relaxed);
  // 0: the file may end here all the same, by a truncation.
  const bool tail = open && (end != 0 ? end != kBlockBytes : node_.rest_size_.load(acquire) >> kBlockShift == page);
  if (tail == slot.has(PageSlot::kTailOpen)) return;
  const auto bit = static_cast<uint8_t>(1u << page);
  if (tail) {
    slot.view.fetch_or(PageSlot::kTailOpen, relaxed);
    node_.tails_open_.fetch_or(bit, relaxed);
  } else {
    slot.view.fetch_and(static_cast<uint8_t>(~PageSlot::kTailOpen), relaxed);
    node_.tails_open_.fetch_and(static_cast<uint8_t>(~bit), relaxed);
  }
}

void FileAccess::changed(Leaf& leaf, uint64_t page, PageSlot& slot, bool was_mapped) {
  unlogged_ = true;
  if (!slot.has(PageSlot::kReferenced)) slot.view.fetch_or(PageSlot::kReferenced, relaxed);
  const bool fresh = backed_ && !slot.dirty;
  if (fresh) slot.dirty = true;
  if (leaf.is_head()) note_open(page, slot);
  count_mapped(leaf.is_head(), page, slot, was_mapped);
  if (!fresh) return;
  impl_.data->count_dirty(1);
  node_.dirty_.note(leaf);
}

FileAccess::Put FileAccess::put_slot(Leaf& leaf, PageSlot& slot, uint64_t offset, size_t count,
                                     const std::byte* own, PagePtr& bytes, bool may_end, Room& room) {
  const size_t in = offset % kBlockBytes;
  std::byte* page = slot.page.load(relaxed);
  if (page == nullptr && slot.map == MapKind::block && count < kBlockBytes) {
    // Unless nothing of what the page was before matters.
    if (in != 0 || !may_end || offset + count < node_.size_from(offset >> kBlockShift))
      return Put::unloaded;
  }
  if (page == nullptr && bytes == nullptr) return Put::no_page;
  if (!take_block(slot, room)) return Put::no_room;
  const bool was_mapped = slot.is_mapped();
  if (page == nullptr) {
    if (own != nullptr) std::memcpy(bytes.get() + in, own, count);
    std::memset(bytes.get(), 0, in);
    std::memset(bytes.get() + in + count, 0, kBlockBytes - in - count);
    if (!backed_) slot.map = MapKind::memory;
  }
  slot.seq.begin_write();
  if (page != nullptr) {
    racy_store(page + in, own != nullptr ? own : bytes.get() + in, count);
  } else {
    slot.page.store(bytes.release(), seq_cst);  // pairs with copy_slot, and with has_pages
    slot.view.fetch_and(static_cast<uint8_t>(~PageSlot::kZero), relaxed);
    impl_.data->count_page(1);
  }
  slot.seq.end_write();
  changed(leaf, offset >> kBlockShift, slot, was_mapped);
  return Put::done;
}

FileAccess::Put FileAccess::put(uint64_t offset, size_t count, const std::byte* own, bool goes_on, PagePtr& bytes,
                                Room& room) {
  const uint64_t index = offset >> kBlockShift;
  EpochGuard guard;
  Leaf* leaf = node_.tree_.find_leaf(index);
  if (leaf == nullptr) return Put::unknown;
  PageSlot& slot = leaf->slot(index);
  if (own != nullptr && goes_on && index + 1 < leaf->end) fetch_to_write(leaf->slot(index + 1));
  SpinLock lock(slot.lock);
  if (slot.has(PageSlot::kDead) || slot.map == MapKind::absent) return Put::unknown;
  // With the mark truncate has not been here yet, and drops what it must when it comes.
  if (!slot_covers(slot, index, offset + count)) {
    const uint64_t size = node_.size_from(index);
    if (size < offset + count) return Put::outside;
    if (size >= (index + 1) << kBlockShift) slot.view.fetch_or(PageSlot::kInside, release);
  }
  return put_slot(*leaf, slot, offset, count, own, bytes, false, room);
}

Result<size_t> FileAccess::write_inside(uint64_t offset, ConstBytes from, Buffer buffer, Room& room) {
  size_t done = 0;
  const auto all = [&]() -> Status {
    PagePtr bytes;
    PageRun run(buffer);
    while (done < from.size()) {
      run.next();
      const uint64_t at = offset + done;
      const size_t count = part_in_page(at, from.size() - done);
      const std::byte* own = buffer == Buffer::own ? from.data() + done : nullptr;
      if (own == nullptr) {
        if (bytes == nullptr) bytes = make_page();
        std::memcpy(bytes.get() + at % kBlockBytes, from.data() + done, count);
      }
      Put result;
      const bool goes_on = done + count < from.size();
      while ((result = put(at, count, own, goes_on, bytes, room)) == Put::unknown || result == Put::unloaded ||
             result == Put::no_page) {
        run.let_go();
        if (result == Put::no_page) {
          bytes = make_page();
        } else {
          SCALEFS_TRY_VOID(load(result, at >> kBlockShift));
        }
      }
      if (result == Put::no_room) return Errno(ENOSPC);
      if (result == Put::outside) return {};
      done += count;
    }
    return {};
  };
  const Status status = or_no_memory(all);
  if (status.ok() || done > 0) return done;
  return status.error();
}

FileAccess::Put FileAccess::extend_held(uint64_t offset, size_t count, PagePtr* pages, Room& room,
                                        size_t* done, uint64_t* missing) {
  // Nothing throws once bytes are in their place.
  for (uint64_t page = (offset + *done) >> kBlockShift; page < pages_of(offset + count);)
    page = leaf_at(page).end;
  Put result = Put::done;
  while (*done < count && result == Put::done) {
    const uint64_t at = offset + *done;
    const uint64_t index = at >> kBlockShift;
    const size_t part = part_in_page(at, count - *done);
    Leaf& leaf = leaf_at(index);
    PageSlot& slot = leaf.slot(index);
    *missing = index;
    {
      SpinLock lock(slot.lock);
      if (slot.map == MapKind::absent && !resolve(slot, index)) {
        result = Put::unknown;
      } else {
        result = put_slot(leaf, slot, at, part, nullptr, pages[index - (offset >> kBlockShift)], true, room);
        // With the bytes: who samples the page sees both or neither.
        if (result == Put::done && leaf.is_head()) {
          node_.raise_size(at + part);
          // Readers of a full page then need not look at its mark.
          if ((at + part) % kBlockBytes == 0 && !slot.has(PageSlot::kInside))
            slot.view.fetch_or(PageSlot::kInside, release);
        }
      }
    }
    if (result == Put::done) *done += part;
  }
  if (*done > 0) node_.raise_size(offset + *done);
  return result;
}

Result<size_t> FileAccess::write_extending(uint64_t offset, ConstBytes from, Room& room) {
  SCALEFS_TRY_VOID(settle_tail());
  std::array<PagePtr, kChunkPages + 1> pages;
  for (size_t done = 0, i = 0; done < from.size(); ++i) {
    const size_t count = part_in_page(offset + done, from.size() - done);
    pages[i] = make_page();
    std::memcpy(pages[i].get() + (offset + done) % kBlockBytes, from.data() + done, count);
    done += count;
  }
  size_t done = 0;
  const uint64_t first = offset >> kBlockShift;
  const uint64_t last = pages_of(offset + from.size());
  for (;;) {
    uint64_t missing = 0;
    Put result;
    {
      RangeHold hold(node_, first, last);
      if (!hold.may_extend()) {
        hold.release();
        SizeFreeze::wait(node_);
        continue;
      }
      result = extend_held(offset, from.size(), pages.data(), room, &done, &missing);
    }
    if (result == Put::done) return done;
    const Status status = or_no_memory([&] { return load(result, missing); });
    if (status.ok()) continue;
    if (done > 0) return done;
    return status.error();
  }
}

// Without a look at the ends of other pages, which those who extend the file change.
bool FileAccess::surely_inside(uint64_t bytes) {
  const uint64_t page = (bytes - 1) >> kBlockShift;
  {
    EpochGuard guard;
    const PageSlot* slot = node_.tree_.find(page);
    if (slot != nullptr && slot_covers(*slot, page, bytes)) return true;
  }
  return page >= PageTree::kHeadPages && node_.rest_size_.load(acquire) >= bytes;
}

Result<size_t> FileAccess::write_chunk(uint64_t offset, ConstBytes from, Buffer buffer, Room& room) {
  size_t done = 0;
  // The way of extending writes is right for others too.
  if (surely_inside(offset + from.size())) {
    SCALEFS_TRY(done, write_inside(offset, from, buffer, room));
    // Short: the size shrank meanwhile, or there is an error that the next call will find again.
    if (done == from.size()) return done;
  }
  const auto rest =
      or_no_memory([&] { return write_extending(offset + done, from.subspan(done), room); });
  if (!rest.ok()) {
    if (done > 0) return done;
    return rest.error();
  }
  return done + *rest;
}

Result<size_t> FileAccess::write(uint64_t offset, ConstBytes from, WriteTimes times, Buffer buffer) {
  if (from.empty()) return size_t{0};
  if (offset >= kFileBytesMax) return Errno(EFBIG);
  from = from.first(std::min<uint64_t>(from.size(), kFileBytesMax - offset));
  size_t done = 0;
  while (done < from.size()) {
    const uint64_t at = offset + done;
    const size_t chunk =
        std::min<size_t>(from.size() - done, kChunkPages * kBlockBytes - at % kBlockBytes);
    // One more for the page in which the file ended.
    const uint64_t pages = pages_of(at % kBlockBytes + chunk) + 1;
    Room room(impl_);
    const Status taken = or_no_memory(
        [&] { return room.take(Need{.blocks = pages, .memory_bytes = pages * kBlockBytes}); });
    // A full volume still takes what has its block already: dirty pages, and unwritten ones.
    if (!taken.ok() && taken.code() != ENOSPC) {
      if (done > 0) break;
      return taken.error();
    }
    const auto written =
        or_no_memory([&] { return write_step(at, from.subspan(done, chunk), times, buffer, room); });
    if (!written.ok()) {
      if (done > 0) break;
      return written.error();
    }
    done += *written;
    if (*written < chunk) break;
  }
  return done;
}

Result<size_t> FileAccess::write_step(uint64_t offset, ConstBytes from, WriteTimes times, Buffer buffer, Room& room) {
  Listing listing(*this);
  unlogged_ = true;
  if (times == WriteTimes::move) note_write(wall_coarse_ns());
  Result<size_t> written = write_chunk(offset, from, buffer, room);
  if (!written.ok()) impl_.mark_times_dirty(mnode_);  // no page may be dirty that would carry them
  return written;
}

// Pages of [offset, offset + count) can all be written; the first may be the one in which the file
// ends, the others lie behind it.
FileAccess::Put FileAccess::known_held(uint64_t offset, size_t count, uint64_t* missing) {
  for (uint64_t index = offset >> kBlockShift; index < pages_of(offset + count); ++index) {
    PageSlot& slot = leaf_at(index).slot(index);
    SpinLock lock(slot.lock);
    *missing = index;
    if (slot.map == MapKind::absent && !resolve(slot, index)) return Put::unknown;
    if (slot.map == MapKind::block && slot.page.load(relaxed) == nullptr) return Put::unloaded;
  }
  return Put::done;
}

// Freezes the size with its bytes prepared for a place in a page; when the file ends elsewhere by then,
// it prepares again. After some defeats it prepares under the freeze, from a copy of its own.
Result<uint64_t> FileAccess::append(ConstBytes from) {
  if (from.empty()) return node_.size();
  SCALEFS_TRY_VOID(settle_tail());
  const uint64_t pages_max = pages_of(from.size()) + 1;
  Room room(impl_);
  SCALEFS_TRY_VOID(
      room.take(Need{.blocks = pages_max, .memory_bytes = pages_max * kBlockBytes}));
  Listing listing(*this);
  unlogged_ = true;
  note_write(wall_coarse_ns());
  std::vector<PagePtr> pages(pages_max);
  const auto prepare = [&](size_t in) {
    for (size_t done = 0, i = 0; done < from.size(); ++i) {
      const size_t count = part_in_page(in + done, from.size() - done);
      if (pages[i] == nullptr) pages[i] = make_page();
      std::memcpy(pages[i].get() + (in + done) % kBlockBytes, from.data() + done, count);
      done += count;
    }
  };
  constexpr int kTries = 3;
  std::vector<std::byte> copy;
  for (int tries = 0;; ++tries) {
    const size_t in = node_.frozen_size() % kBlockBytes;  // a guess
    if (tries < kTries) prepare(in);
    if (tries == kTries) {
      copy.assign(from.begin(), from.end());
      from = copy;
    }
    uint64_t missing = 0;
    Put result;
    {
      SizeFreeze freeze(node_);
      const uint64_t offset = node_.frozen_size();
      if (from.size() > kFileBytesMax - offset) return Errno(EFBIG);
      if (tries >= kTries) {
        prepare(offset % kBlockBytes);
      } else if (offset % kBlockBytes != in) {
        continue;
      }
      RangeHold hold(node_, offset >> kBlockShift, pages_of(offset + from.size()));
      result = known_held(offset, from.size(), &missing);
      if (result == Put::done) {
        size_t done = 0;
        result = extend_held(offset, from.size(), pages.data(), room, &done, &missing);
        SCALEFS_CHECK(result == Put::done);
        return offset;
      }
    }
    SCALEFS_TRY_VOID(load(result, missing));
  }
}

}  // namespace scalefs::memfs
