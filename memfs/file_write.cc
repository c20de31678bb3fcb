// Writes. The caller's bytes are first copied to pages of our own, with nothing held (a caller's memory
// may fault, P6); such a page is installed as it is where the file has none in memory, else its bytes
// are copied on.
#include <algorithm>
#include <array>
#include <cstring>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

// Pages that one step writes under one hold of the mutex, and for which one reservation is made.
constexpr size_t kChunkPages = 32;

size_t part_in_page(uint64_t offset, size_t count) {
  return std::min<size_t>(kBlockBytes - offset % kBlockBytes, count);
}

}  // namespace

void FileAccess::note_write() {
  // Before the bytes: whatever record carries them carries these times too. A write has no stamp; it counts
  // as the successor of the last explicit change.
  const int64_t now = impl_.now_ns();
  const Stamp after = mnode_.mtime_set_stamp.load(acquire);  // pairs with setattr's release
  impl_.deltas.add(mnode_, MetaDelta{.mtime_ns = now, .ctime_ns = now, .stamp = after + 1});
}

void FileAccess::changed(Leaf& leaf, PageSlot& slot, bool was_mapped) {
  const bool mapped = slot.is_mapped();
  if (mapped != was_mapped) node_.mapped_pages_.fetch_add(mapped ? 1 : -1, relaxed);
  if (!slot.has(PageSlot::kReferenced)) slot.view.fetch_or(PageSlot::kReferenced, relaxed);
  if (!backed_ || slot.dirty) return;
  slot.dirty = true;
  impl_.data->count_dirty(1);
  node_.dirty_.note(leaf);
}

// `whole`: nothing of what the page was before matters.
FileAccess::Put FileAccess::put_slot(Leaf& leaf, PageSlot& slot, uint64_t offset, size_t count,
                                     PagePtr& bytes, bool whole, Room& room) {
  const size_t in = offset % kBlockBytes;
  std::byte* page = slot.page.load(relaxed);
  if (page == nullptr && !whole && slot.map == MapKind::block) return Put::unloaded;
  if (!take_block(slot, room)) return Put::no_room;
  const bool was_mapped = slot.is_mapped();
  if (page == nullptr) {
    std::memset(bytes.get(), 0, in);
    std::memset(bytes.get() + in + count, 0, kBlockBytes - in - count);
    if (!backed_) slot.map = MapKind::memory;
  }
  slot.seq.begin_write();
  if (page != nullptr) {
    racy_store(page + in, bytes.get() + in, count);
  } else {
    slot.page.store(bytes.release(), seq_cst);  // pairs with copy_slot, and with has_pages
    slot.view.fetch_and(static_cast<uint8_t>(~PageSlot::kZero), relaxed);
    impl_.data->count_page(1);
  }
  slot.seq.end_write();
  changed(leaf, slot, was_mapped);
  return Put::done;
}

FileAccess::Put FileAccess::put(uint64_t offset, size_t count, PagePtr& bytes, uint64_t below,
                                Room& room) {
  const uint64_t index = offset >> kBlockShift;
  EpochGuard guard;
  Leaf* leaf = node_.tree_.find_leaf(index);
  if (leaf == nullptr) return Put::unknown;
  PageSlot& slot = leaf->slot(index);
  SpinLock lock(slot.lock);
  if (slot.has(PageSlot::kDead) || slot.map == MapKind::absent) return Put::unknown;
  // With the mark truncate has not been here yet, and drops what it must when it comes.
  if (!slot.has(PageSlot::kInside)) {
    const uint64_t size = node_.size();
    if (size < below) return Put::outside;
    if (size >= (index + 1) << kBlockShift) slot.view.fetch_or(PageSlot::kInside, release);
  }
  return put_slot(*leaf, slot, offset, count, bytes, count == kBlockBytes, room);
}

Result<size_t> FileAccess::write_inside(uint64_t offset, ConstBytes from, Room& room) {
  PagePtr bytes;
  size_t done = 0;
  while (done < from.size()) {
    const uint64_t at = offset + done;
    const size_t count = part_in_page(at, from.size() - done);
    if (bytes == nullptr) bytes = make_page();
    std::memcpy(bytes.get() + at % kBlockBytes, from.data() + done, count);
    Put result;
    while ((result = put(at, count, bytes, at + count, room)) == Put::unknown ||
           result == Put::unloaded) {
      const Status loaded = load(result, at >> kBlockShift);
      if (loaded.ok()) continue;
      if (done > 0) return done;
      return loaded.error();
    }
    if (result == Put::outside) return done;
    if (result == Put::no_room) {
      if (done > 0) return done;
      return Errno(ENOSPC);
    }
    done += count;
  }
  return done;
}

FileAccess::Put FileAccess::settle_last_page(Room& room, uint64_t* missing) {
  const uint64_t size = node_.size();
  if (!backed_ || size % kBlockBytes == 0) return Put::done;
  *missing = size >> kBlockShift;
  Leaf* leaf = node_.tree_.find_leaf(*missing);
  if (leaf == nullptr) return Put::unknown;
  PageSlot& slot = leaf->slot(*missing);
  SpinLock lock(slot.lock);
  if (slot.map == MapKind::absent && !resolve(slot, *missing)) return Put::unknown;
  if (slot.page.load(relaxed) == nullptr)
    return slot.map == MapKind::block ? Put::unloaded : Put::done;
  if (slot.dirty) return Put::done;
  if (!take_block(slot, room)) return Put::no_room;
  changed(*leaf, slot, slot.is_mapped());
  return Put::done;
}

FileAccess::Put FileAccess::extend_locked(uint64_t offset, size_t count, PagePtr* pages,
                                          Room& room, size_t* done, uint64_t* missing) {
  if (offset >> kBlockShift > node_.size() >> kBlockShift) {
    const Put settled = settle_last_page(room, missing);
    if (settled != Put::done) return settled;
  }
  Put result = Put::done;
  while (*done < count && result == Put::done) {
    const uint64_t at = offset + *done;
    const uint64_t index = at >> kBlockShift;
    const size_t part = part_in_page(at, count - *done);
    Leaf& leaf = node_.tree_.leaf_of(index);
    PageSlot& slot = leaf.slot(index);
    *missing = index;
    {
      SpinLock lock(slot.lock);
      if (slot.map == MapKind::absent && !resolve(slot, index)) {
        result = Put::unknown;
      } else {
        const bool whole = at % kBlockBytes == 0 &&
                           (part == kBlockBytes || at + part >= node_.size());
        result = put_slot(leaf, slot, at, part, pages[index - (offset >> kBlockShift)], whole, room);
      }
    }
    if (result == Put::done) *done += part;
  }
  if (*done > 0 && offset + *done > node_.size()) set_size(offset + *done);
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
  for (;;) {
    uint64_t missing = 0;
    Put result;
    {
      MutexLock lock(node_.mutex_);
      result = extend_locked(offset, from.size(), pages.data(), room, &done, &missing);
    }
    if (result == Put::done) return done;
    const Status status = load(result, missing);
    if (status.ok()) continue;
    if (done > 0) return done;
    return status.error();
  }
}

// Without a look at the size, which appends change.
bool FileAccess::surely_inside(uint64_t offset) {
  EpochGuard guard;
  const PageSlot* slot = node_.tree_.find(offset >> kBlockShift);
  return slot != nullptr && slot->has(PageSlot::kInside);
}

Result<size_t> FileAccess::write_chunk(uint64_t offset, ConstBytes from, Room& room) {
  size_t done = 0;
  if (surely_inside(offset + from.size() - 1) || offset + from.size() <= node_.size()) {
    SCALEFS_TRY(done, write_inside(offset, from, room));
    // Short: the size shrank meanwhile, or there is an error that the next call will find again.
    if (done == from.size()) return done;
  }
  const Result<size_t> rest = write_extending(offset + done, from.subspan(done), room);
  if (!rest.ok()) {
    if (done > 0) return done;
    return rest.error();
  }
  return done + *rest;
}

Result<size_t> FileAccess::write(uint64_t offset, ConstBytes from) {
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
    const Status taken = room.take(Need{.blocks = pages, .memory_bytes = pages * kBlockBytes});
    // A full volume still takes what has its block already: dirty pages, and unwritten ones.
    if (!taken.ok() && taken.code() != ENOSPC) {
      if (done > 0) break;
      return taken.error();
    }
    Result<size_t> written = write_step(at, from.subspan(done, chunk), room);
    if (!written.ok()) {
      if (done > 0) break;
      return written.error();
    }
    done += *written;
    if (*written < chunk) break;
  }
  return done;
}

Result<size_t> FileAccess::write_step(uint64_t offset, ConstBytes from, Room& room) {
  Listing listing(*this);
  note_write();
  Result<size_t> written = write_chunk(offset, from, room);
  if (!written.ok()) impl_.mark_times_dirty(mnode_);  // no page may be dirty that would carry them
  return written;
}

// Pages of [offset, offset + count) can all be written; the first may be the one in which the file
// ends, the others lie behind it.
FileAccess::Put FileAccess::known_locked(uint64_t offset, size_t count, uint64_t* missing) {
  for (uint64_t index = offset >> kBlockShift; index < pages_of(offset + count); ++index) {
    PageSlot& slot = node_.tree_.leaf_of(index).slot(index);
    SpinLock lock(slot.lock);
    *missing = index;
    if (slot.map == MapKind::absent && !resolve(slot, index)) return Put::unknown;
    if (slot.map == MapKind::block && slot.page.load(relaxed) == nullptr) return Put::unloaded;
  }
  return Put::done;
}

// Takes the mutex with its bytes prepared for a place in a page; when the file ends elsewhere by then,
// it prepares again. After some defeats it prepares under the mutex, from a copy of its own.
Result<uint64_t> FileAccess::append(ConstBytes from) {
  if (from.empty()) return node_.size();
  SCALEFS_TRY_VOID(settle_tail());
  const uint64_t pages_max = pages_of(from.size()) + 1;
  Room room(impl_);
  SCALEFS_TRY_VOID(
      room.take(Need{.blocks = pages_max, .memory_bytes = pages_max * kBlockBytes}));
  Listing listing(*this);
  note_write();
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
    const size_t in = node_.size() % kBlockBytes;
    if (tries < kTries) prepare(in);
    if (tries == kTries) {
      copy.assign(from.begin(), from.end());
      from = copy;
    }
    uint64_t missing = 0;
    Put result;
    {
      MutexLock lock(node_.mutex_);
      const uint64_t offset = node_.size();
      if (from.size() > kFileBytesMax - offset) return Errno(EFBIG);
      if (tries >= kTries) {
        prepare(offset % kBlockBytes);
      } else if (offset % kBlockBytes != in) {
        continue;
      }
      result = known_locked(offset, from.size(), &missing);
      if (result == Put::done) {
        size_t done = 0;
        result = extend_locked(offset, from.size(), pages.data(), room, &done, &missing);
        SCALEFS_CHECK(result == Put::done);
        return offset;
      }
    }
    SCALEFS_TRY_VOID(load(result, missing));
  }
}

}  // namespace scalefs::memfs
