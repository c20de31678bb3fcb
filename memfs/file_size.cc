// The size of a file: the ends of the first pages, and what lies beyond them. The protocol stands in file_node.h.
#include <algorithm>

#include "memfs/file_node.h"

namespace scalefs::memfs {

// Pages below `page` play no part.
uint64_t FileNode::size_from(uint64_t page) const {
  uint64_t size = 0;
  for (uint64_t q = page; q < PageTree::kHeadPages; ++q) {
    const uint64_t end = tree_.mark(q).end.load(acquire);  // pairs with raise_size
    if (end != 0) size = (q << kBlockShift) + end;
  }
  return std::max(size, rest_size_.load(acquire));  // pairs with raise_size
}

uint64_t FileNode::size() const {
  for (;;) {
    const uint32_t cuts = cuts_.load(acquire);  // pairs with store_size
    if ((cuts & 1) != 0) continue;              // some stores long
    uint64_t size = frozen_size();
    // Nothing behind it has grown meanwhile. Acquires: the loads stay in order.
    if (size_from((size + kBlockBytes - 1) >> kBlockShift) <= size && cuts_.load(acquire) == cuts)
      return size;
  }
}

void FileNode::note_holes(uint64_t size) {
  const uint64_t whole = std::min(size >> kBlockShift, PageTree::kHeadPages);
  for (uint64_t q = 0; q < whole; ++q) {
    const PageMark& mark = tree_.mark(q);
    if (mark.end.load(relaxed) != kBlockBytes && !mark.has(PageMark::kInside)) (void)note_inside(q);
  }
}

bool FileNode::note_inside(uint64_t page) {
  const uint64_t end = (page + 1) << kBlockShift;
  PageSlot& slot = tree_.head_slot(page);
  SpinLock lock(slot.lock);
  // Truncate lowers the size before it visits the slot, so a flag from before cannot survive it.
  if (size_from(page) < end) return false;
  slot.view.fetch_or(PageSlot::kInside, release);  // pairs with FileAccess::slot_covers
  tree_.mark(page).state.fetch_or(PageMark::kInside, release);
  return true;
}

bool FileNode::covers(uint64_t bytes) const {
  const uint64_t page = (bytes - 1) >> kBlockShift;
  if (page < PageTree::kHeadPages) {
    const PageMark& mark = tree_.mark(page);
    if (mark.has(PageMark::kInside)) return true;
    const uint64_t end = mark.end.load(acquire);  // pairs with raise_size
    if (end != 0 && (page << kBlockShift) + end >= bytes) return true;
  }
  return size_from(page) >= bytes;
}

// From behind, so that pages inside the file are not looked at.
uint64_t FileNode::frozen_size() const {
  const uint64_t size = rest_size_.load(acquire);
  for (uint64_t q = PageTree::kHeadPages; q-- > size >> kBlockShift;) {
    const uint64_t end = tree_.mark(q).end.load(acquire);
    if (end != 0) return std::max(size, (q << kBlockShift) + end);
  }
  return size;
}

void FileNode::raise_size(uint64_t bytes) {
  if (bytes == 0) return;
  const uint64_t page = (bytes - 1) >> kBlockShift;
  if (page < PageTree::kHeadPages) {
    Atomic<uint16_t>& end = tree_.mark(page).end;
    const auto in = static_cast<uint16_t>(bytes - (page << kBlockShift));
    if (end.load(relaxed) < in) end.store(in, release);  // pairs with size_from
    return;
  }
  // One at a time: under the mutex, or frozen.
  if (rest_size_.load(relaxed) < bytes) rest_size_.store(bytes, release);
}

void FileNode::store_size(uint64_t size) {
  const uint64_t old = frozen_size();
  if (size == old) return;
  if (size > old) return rest_size_.store(size, release);  // pairs with size_from
  cuts_.store(cuts_.load(relaxed) + 1, relaxed);  // release stores follow
  // The end of what stays, which nobody sees yet; then, ascending, the ends behind it, and so the largest one last.
  const bool in_rest = size > PageTree::kHeadPages << kBlockShift;
  if (!in_rest) raise_size(size);
  const auto lower_rest = [&] {
    if (rest_size_.load(relaxed) != 0) rest_size_.store(in_rest ? size : 0, release);
  };
  const bool rest_is_last = rest_size_.load(relaxed) == old;
  if (!rest_is_last) lower_rest();
  for (uint64_t q = size >> kBlockShift; q < PageTree::kHeadPages; ++q) {
    Atomic<uint16_t>& end = tree_.mark(q).end;
    const uint64_t begin = q << kBlockShift;
    const auto in = static_cast<uint16_t>(
        std::min<uint64_t>(size > begin ? size - begin : 0, kBlockBytes));
    if (end.load(relaxed) > in) end.store(in, release);
  }
  if (rest_is_last) lower_rest();
  cuts_.store(cuts_.load(relaxed) + 1, release);  // pairs with size()
}

}  // namespace scalefs::memfs
