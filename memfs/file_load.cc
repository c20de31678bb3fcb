// Misses: finding out what absent slots stand for, and bringing bytes into memory (P3, P4, P6).
#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kRunPagesMax = 32;  // bytes of so many pages are read at once

}  // namespace

Status FileAccess::load(Put why, uint64_t page) {
  if (why == Put::unknown) return load_slot(page);
  if (why == Put::unloaded) return load_page(page, 0);
  return Errno(ENOSPC);
}

void FileAccess::set_zero(PageSlot& slot, MapKind map, bool reserved) {
  slot.map = map;
  slot.stamp = 0;
  slot.reserved = reserved;
  slot.seq.begin_write();
  slot.view.fetch_or(PageSlot::kZero, relaxed);
  slot.seq.end_write();
}

bool FileAccess::resolve(PageSlot& slot, uint64_t page) {
  if (page < PageTree::kHeadPages) return false;  // absent where the backend knows
  node_.mutex_.assert_held();
  const std::optional<Overlay::Kind> kind = node_.overlay_.at(page);
  if (!kind && backed_) return false;
  const bool unwritten = kind == Overlay::Kind::unwritten;
  set_zero(slot, unwritten ? MapKind::unwritten : MapKind::hole, unwritten && backed_);
  return true;
}

void FileAccess::mark_holes(uint64_t from, uint64_t to) {
  from = std::max(from, PageTree::kHeadPages);
  if (from >= to) return;
  if (backed_) {
    node_.overlay_.set_hole(from, to, Overlay::kUnsettled);
  } else {
    node_.overlay_.forget(from, to);
  }
}

Stamp FileAccess::purge_overlay() {
  // Acquire: pairs with set_durable_stamp; loads from now on read a checkpoint that covers it.
  const Stamp durable = impl_.durable_stamp.load(acquire);
  if (!node_.overlay_.empty()) node_.overlay_.purge(durable);
  return durable;
}

void FileAccess::install_bytes(PageSlot& slot, uint64_t page, PagePtr bytes) {
  // Bytes behind the end: a crash may have left some on disk. See settle_last_page.
  const uint64_t begin = page << kBlockShift;
  const uint64_t size = node_.size_from(page);
  if (size < begin + kBlockBytes) {
    const size_t inside = size > begin ? size - begin : 0;
    std::memset(bytes.get() + inside, 0, kBlockBytes - inside);
  }
  slot.seq.begin_write();
  slot.page.store(bytes.release(), seq_cst);  // pairs with copy_slot, and with has_pages
  slot.seq.end_write();
  impl_.data->count_page(1);
}

// The mutex is held. EUCLEAN when the mapping makes no sense.
Status FileAccess::install_mapping(uint64_t first, const std::vector<LoadedPage>& pages) {
  Leaf& leaf = leaf_at(first);
  for (size_t i = 0; i < pages.size(); ++i) {
    const LoadedPage& loaded = pages[i];
    const uint64_t page = first + i;
    PagePtr bytes;
    if (loaded.kind == LoadedPage::Kind::bytes) {
      if (loaded.bytes.size() > kBlockBytes) return Errno(EUCLEAN);
      bytes = make_page();
      std::memset(bytes.get(), 0, kBlockBytes);
      if (!loaded.bytes.empty())
        std::memcpy(bytes.get(), loaded.bytes.data(), loaded.bytes.size());
    }
    if (loaded.kind == LoadedPage::Kind::block && !loaded.block) return Errno(EUCLEAN);
    PageSlot& slot = leaf.slot(page);
    SpinLock lock(slot.lock);
    if (slot.map != MapKind::absent || resolve(slot, page)) continue;  // memory knows better
    switch (loaded.kind) {
      case LoadedPage::Kind::hole:
        set_zero(slot, MapKind::hole, false);
        break;
      case LoadedPage::Kind::unwritten:
        set_zero(slot, MapKind::unwritten, false);
        break;
      case LoadedPage::Kind::block:
        slot.map = MapKind::block;
        slot.block = loaded.block;
        slot.crc = loaded.crc;
        slot.stamp = 0;
        break;
      case LoadedPage::Kind::bytes:
        slot.map = MapKind::memory;
        slot.stamp = 0;
        install_bytes(slot, page, std::move(bytes));
        break;
    }
    if (!leaf.is_head()) continue;
    // What is known now for the first time stands in the base count.
    PageMark& mark = node_.tree_.mark(page);
    if (slot.is_mapped() && !mark.has(PageMark::kKnown))
      mark.state.fetch_or(PageMark::kInBase, relaxed);
    count_mapped(true, page, slot, false);
  }
  return {};
}

Status FileAccess::load_slot(uint64_t page) {
  const uint64_t first = PageTree::leaf_begin(page);
  const uint64_t count = PageTree::leaf_end(page) - first;
  for (;;) {
    Stamp durable;
    {
      MutexLock lock(node_.mutex_);
      durable = purge_overlay();
      PageSlot& slot = leaf_at(page).slot(page);
      SpinLock slot_lock(slot.lock);
      if (slot.map != MapKind::absent || resolve(slot, page)) return {};
    }
    SCALEFS_TRY(const std::vector<LoadedPage> pages,
                impl_.backend->load_mapping(mnode_.number, first, count));
    if (pages.size() != count) return Errno(EUCLEAN);
    list();
    MutexLock lock(node_.mutex_);
    // A newer checkpoint: what memory knew better may have been dropped since. Load again.
    if (impl_.durable_stamp.load(acquire) != durable) continue;
    return install_mapping(first, pages);
  }
}

FileAccess::BlockRun FileAccess::find_run(uint64_t page, uint64_t count) {
  BlockRun run;
  EpochGuard guard;
  for (uint64_t i = 0; i < count; ++i) {
    PageSlot* slot = node_.tree_.find(page + i);
    if (slot == nullptr) {
      if (i == 0) run.absent = true;
      return run;
    }
    SpinLock lock(slot->lock);
    if (i == 0) {
      run.absent = slot->map == MapKind::absent;
      run.first = slot->block;
    }
    if (slot->map != MapKind::block || slot->page.load(relaxed) != nullptr ||
        slot->block.v != run.first.v + i)
      return run;
    run.crcs.push_back(slot->crc);
  }
  return run;
}

void FileAccess::install_run(uint64_t page, const BlockRun& run, ConstBytes bytes) {
  for (size_t i = 0; i < run.crcs.size(); ++i) {
    PagePtr copy = make_page();
    std::memcpy(copy.get(), bytes.data() + i * kBlockBytes, kBlockBytes);
    EpochGuard guard;
    PageSlot* slot = node_.tree_.find(page + i);
    if (slot == nullptr) continue;
    SpinLock lock(slot->lock);
    // While the pin is held a block is not reused: the same block is the same content.
    if (slot->map == MapKind::block && slot->block.v == run.first.v + i &&
        slot->page.load(relaxed) == nullptr)
      install_bytes(*slot, page + i, std::move(copy));
  }
}

// The bytes did not match. True when it is worth to look again: the page has another mapping by now,
// or the checkpoint can be asked anew.
bool FileAccess::forget_mapping(uint64_t page, BlockNo block) {
  RangeHold hold(node_, page, std::max(page, PageTree::kHeadPages) + 1);
  node_.mutex_.assert_held();
  const Stamp durable = purge_overlay();
  PageSlot* slot = node_.tree_.find(page);
  if (slot == nullptr) return true;
  SpinLock slot_lock(slot->lock);
  if (slot->map != MapKind::block || slot->block != block || slot->page.load(relaxed) != nullptr)
    return true;
  if (slot->stamp > durable || node_.overlay_.at(page)) return false;
  slot->map = MapKind::absent;
  return true;
}

Status FileAccess::load_page(uint64_t page, uint64_t ahead) {
  uint64_t count = std::min(kRunPagesMax, ahead + 1);
  // Sequential readers get more than they ask for.
  if (page != 0 && node_.next_miss_.load(relaxed) == page) count = kRunPagesMax;
  (void)impl_.backend->reserve(Need{.memory_bytes = count * kBlockBytes});
  bool asked_again = false;
  for (;;) {
    // First the pin, then the mapping, then the blocks (P3).
    const auto pin = impl_.backend->pin_reads();
    const BlockRun run = find_run(page, count);
    if (run.absent) {
      SCALEFS_TRY_VOID(load_slot(page));
      continue;
    }
    if (run.crcs.empty()) return {};  // in memory by now, or nothing to load
    AlignedBuffer bytes(run.crcs.size() * kBlockBytes);
    const Status status = impl_.backend->read_blocks(run.first, run.crcs, bytes.span());
    if (status.ok()) {
      install_run(page, run, bytes.span());
      node_.next_miss_.store(page + run.crcs.size(), relaxed);
      list();
      return {};
    }
    if (run.crcs.size() > 1) {
      count = 1;  // another page's damage is not this one's
      continue;
    }
    if (asked_again || !forget_mapping(page, run.first)) return status.error();
    asked_again = true;
  }
}

}  // namespace scalefs::memfs
