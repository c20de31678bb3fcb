// Eviction of clean pages: a clock over the files that have pages in memory, and over the pages of each
// (second chance). Dirty pages, pages in writeback and content that no durable checkpoint has stay; a
// mapping that is younger than the checkpoint stays in its slot without the bytes (P4).
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

constexpr int kRounds = 3;            // the first may find everything referenced, the second leaves busy files
constexpr size_t kLeavesAVisit = 64;  // of one file, before the next has its turn

}  // namespace

// Under the slot's lock. True when a page was given up.
bool FileAccess::evict_slot(PageSlot& slot, uint64_t page, Stamp durable, bool force) {
  std::byte* bytes = slot.page.load(relaxed);
  if (bytes == nullptr || slot.dirty || slot.writeback) return false;
  if (slot.has(PageSlot::kReferenced) && !force) {
    slot.view.fetch_and(static_cast<uint8_t>(~PageSlot::kReferenced), relaxed);
    return false;
  }
  const bool reloadable = slot.stamp <= durable && !node_.overlay_.at(page);
  if (slot.map != MapKind::block && !reloadable) return false;
  slot.seq.begin_write();
  slot.page.store(nullptr, relaxed);
  slot.seq.end_write();
  if (slot.map != MapKind::block) slot.map = MapKind::absent;
  impl_.data->count_page(-1);
  retire_page(bytes);
  return true;
}

// A slot that the overlay and the checkpoint can restore.
bool FileAccess::can_forget(PageSlot& slot, uint64_t page, Stamp durable) {
  if (slot.page.load(relaxed) != nullptr || slot.dirty || slot.writeback) return false;
  if (slot.map == MapKind::block) return slot.stamp <= durable && !node_.overlay_.at(page);
  // An unwritten page's block is remembered by the overlay.
  return !slot.reserved || node_.overlay_.at(page) == Overlay::Kind::unwritten;
}

// Takes pages away from unwritten intervals that were written since, as far as the checkpoint has that.
void FileAccess::uncover_leaf(Leaf& leaf, Stamp durable) {
  if (node_.overlay_.empty()) return;
  for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
    if (node_.overlay_.at(page) != Overlay::Kind::unwritten) continue;
    {
      PageSlot& slot = leaf.slot(page);
      SpinLock lock(slot.lock);
      if (slot.map != MapKind::block && slot.map != MapKind::memory) continue;
      if (slot.stamp > durable) continue;
    }
    node_.overlay_.forget(page, page + 1);
  }
}

void FileAccess::forget_slot(PageSlot& slot) {
  slot.map = MapKind::absent;
  slot.reserved = false;  // see can_forget
  slot.seq.begin_write();
  slot.view.fetch_and(static_cast<uint8_t>(~(PageSlot::kZero | PageSlot::kInside)), relaxed);
  slot.seq.end_write();
}

// The slots stay, with what they stand for. Without waiting for a call that holds a page: it may wait for us.
bool FileAccess::evict_head(Stamp durable, bool force) {
  bool empty = true;
  for (uint64_t page = 0; page < PageTree::kHeadPages; ++page) {
    PageSlot& slot = node_.tree_.head_slot(page);
    SleepBit& hold = slot.hold;
    if (hold.try_lock()) {
      SpinLock lock(slot.lock);
      (void)evict_slot(slot, page, durable, force);
      hold.unlock();
    }
    if (slot.page.load(relaxed) != nullptr) empty = false;
  }
  return empty;
}

// False: pages are left in the leaf.
bool FileAccess::evict_leaf(Leaf& leaf, Stamp durable, bool force) {
  if (leaf.is_head()) return evict_head(durable, force);
  uncover_leaf(leaf, durable);
  bool empty = true;
  bool bare = true;
  for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
    PageSlot& slot = leaf.slot(page);
    SpinLock lock(slot.lock);
    (void)evict_slot(slot, page, durable, force);
    if (slot.page.load(relaxed) != nullptr) empty = false;
    if (!can_forget(slot, page, durable)) bare = false;
  }
  if (!bare) return empty;
  for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
    PageSlot& slot = leaf.slot(page);
    SpinLock lock(slot.lock);
    // Writers do not need the mutex: it may have changed meanwhile.
    if (can_forget(slot, page, durable)) {
      forget_slot(slot);
    } else {
      bare = false;
    }
  }
  if (bare) free_leaf(leaf);
  return true;
}

bool FileAccess::evict(uint64_t target_bytes, bool force) {
  for (size_t leaves = 0; leaves < kLeavesAVisit; ++leaves) {
    if (impl_.data->page_bytes() <= target_bytes) return true;
    if (!node_.mutex_.try_lock()) return true;  // busy: others first
    const Stamp durable = purge_overlay();
    Leaf* leaf = node_.tree_.next_leaf(node_.evict_hand_);
    const bool wrapped = leaf == nullptr;
    node_.evict_hand_ = wrapped ? 0 : leaf->end;
    if (!wrapped) (void)evict_leaf(*leaf, durable, force);
    node_.mutex_.unlock();
    if (wrapped) break;
  }
  return has_pages();
}

bool FileAccess::has_pages() {
  uint64_t page = 0;
  for (;;) {
    EpochGuard guard;
    Leaf* leaf = node_.tree_.next_leaf(page);
    if (leaf == nullptr) return false;
    for (page = leaf->begin; page < leaf->end; ++page) {
      if (leaf->slot(page).page.load(seq_cst) != nullptr) return true;  // pairs with LinkQueue::add
    }
  }
}

uint64_t MemFs::evict_pages(uint64_t target_bytes) {
  Impl& impl = *impl_;
  if (impl.backend == nullptr) return impl.data->page_bytes();
  using Verdict = LinkQueue::Verdict;
  if (impl.data->page_bytes() > target_bytes) impl.deltas.collect_notes();
  for (int round = 0; round < kRounds && impl.data->page_bytes() > target_bytes; ++round) {
    impl.data->cached.visit(
        [&](Mnode& mnode) {
          if (impl.data->page_bytes() <= target_bytes) return Verdict::stop;
          const bool more = FileAccess(impl, mnode).evict(target_bytes, round == kRounds - 1);
          return more ? Verdict::rotate : Verdict::drop;
        },
        [&](Mnode& mnode) { return FileAccess(impl, mnode).has_pages(); });
  }
  return impl.data->page_bytes();
}

}  // namespace scalefs::memfs
