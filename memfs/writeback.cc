// Writeback of dirty pages as steps (P2), and what records say of the size.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/canary.h"
#include "memfs/file_access.h"

namespace scalefs::memfs {

#ifdef SCALEFS_SCHEDULE
bool writeback_canary = false;
#endif

namespace {

const SampledPage* find_sample(std::span<const SampledPage> samples, uint64_t page) {
  const auto it = std::lower_bound(samples.begin(), samples.end(), page,
                                   [](const SampledPage& s, uint64_t p) { return s.page < p; });
  return it != samples.end() && it->page == page ? &*it : nullptr;
}

}  // namespace

// The first byte at or beyond logged_size_ that no record carries, at the most `size`. `carried` are in the
// record that is being made, which covers their bytes even where they are dirty again. Without `look` data of the first
// pages counts as carried by none, which is less than could be said, but looks at no line that a write changes (I1).
uint64_t FileAccess::covered_size(uint64_t size, std::span<const SampledPage> carried, bool look) {
  if (canary(Canary::size_before_data)) return size;
  const uint64_t logged = std::min(node_.logged_size_.load(relaxed), size);
  const uint64_t first = logged >> kBlockShift;
  const uint64_t last = pages_of(size);
  DirtyLeaves::Leaves& leaves = node_.dirty_.collect();
  auto it = leaves.lower_bound(PageTree::leaf_begin(first));
  for (Leaf* next = &node_.tree_.head(); next != nullptr;
       next = it == leaves.end() ? nullptr : (it++)->second) {
    Leaf& leaf = *next;
    const uint64_t end = std::min(leaf.end, last);
    for (uint64_t page = std::max(leaf.begin, first); page < end; ++page) {
      PageSlot& slot = leaf.slot(page);
      // A page that was dropped while in writeback is a hole.
      if (leaf.is_head()) {
        if (!node_.tree_.mark(page).has(PageMark::kData)) continue;
        if (!look) return std::clamp(page << kBlockShift, logged, size);
      }
      SpinLock lock(slot.lock);
      const bool open = slot.page.load(relaxed) != nullptr && (slot.dirty || slot.writeback);
      if (!open) continue;
      uint64_t limit = page << kBlockShift;
      const SampledPage* sample =
          slot.stamp == Overlay::kUnsettled ? find_sample(carried, page) : nullptr;
      if (sample != nullptr) {
        if (sample->bytes == kBlockBytes) continue;
        limit += sample->bytes;
      }
      return std::clamp(limit, logged, size);
    }
  }
  return size;
}

// Answers whether the leaf still has pages to look after. Throws std::bad_alloc; what was sampled
// before is in *samples.
bool FileAccess::sample_leaf(Leaf& leaf, uint64_t from_page, size_t count,
                             std::vector<SampledPage>* samples, bool* busy) {
  bool keep = false;
  std::unique_ptr<std::byte[]> copy;
  for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
    PageSlot& slot = leaf.slot(page);
    if (leaf.is_head() && !slot.has(PageSlot::kOpen)) continue;
    if (copy == nullptr) copy = std::make_unique_for_overwrite<std::byte[]>(kBlockBytes);
    SpinLock lock(slot.lock);
    if (!slot.dirty && !slot.writeback) continue;
    keep = true;
    if (page < from_page) continue;
    if (slot.writeback) {
      *busy = true;
      continue;
    }
    if (samples->size() == count) return true;
    samples->push_back(take_sample(slot, page, std::move(copy)));
  }
  return keep;
}

SampledPage FileAccess::take_sample(PageSlot& slot, uint64_t page,
                                    std::unique_ptr<std::byte[]> copy) {
  const uint64_t begin = page << kBlockShift;
  const uint64_t size = node_.size_from(page);
  SampledPage sample;
  sample.page = page;
  sample.generation = slot.generation;
  sample.bytes =
      size <= begin ? 0 : static_cast<uint32_t>(std::min<uint64_t>(kBlockBytes, size - begin));
  sample.copy = std::move(copy);
  const auto copy_bytes = [&] {
    std::memcpy(sample.copy.get(), slot.page.load(relaxed), kBlockBytes);
  };
#ifdef SCALEFS_SCHEDULE
  if (writeback_canary) {
    copy_bytes();
    slot.lock.unlock();
    for (int i = 0; i < 20; ++i) schedule::yield();
    slot.lock.lock();
  }
#endif
  // The mark goes before the copy is taken: a write that the copy misses finds it gone, and sets it.
  slot.dirty = false;
  slot.reserved = false;  // the block is the writeback's now
  slot.writeback = true;
  slot.ticket = node_.writeback_ticket_;
#ifdef SCALEFS_SCHEDULE
  if (!writeback_canary)
#endif
    copy_bytes();
  impl_.data->count_dirty(-1);
  return sample;
}

std::vector<SampledPage> FileAccess::begin_writeback(uint64_t from_page, size_t count,
                                                     bool* busy) {
  std::vector<SampledPage> samples;
  *busy = false;
  MutexLock lock(node_.mutex_);
  DirtyLeaves::Leaves& leaves = node_.dirty_.collect();
  const uint64_t ticket = ++node_.writeback_ticket_;
  const auto outstanding = node_.outstanding_.emplace(ticket, 0).first;
  bool exhausted = false;
  const auto sample = [&](Leaf& leaf) NO_THREAD_SAFETY_ANALYSIS {
    try {
      if (samples.capacity() - samples.size() < PageTree::kLeafPages)
        samples.reserve(2 * samples.capacity() + PageTree::kLeafPages);
      return sample_leaf(leaf, from_page, count, &samples, busy);
    } catch (const std::bad_alloc&) {
      exhausted = true;  // what was sampled is not lost
      return true;
    }
  };
  if (from_page < PageTree::kHeadPages) (void)sample(node_.tree_.head());
  for (auto it = leaves.lower_bound(PageTree::leaf_begin(from_page));
       it != leaves.end() && samples.size() < count && !exhausted;) {
    DirtyLeaves::begin_look(*it->second);
    const bool keep = sample(*it->second);
    it = node_.dirty_.end_look(it, keep);
  }
  outstanding->second = samples.size();
  if (samples.empty()) node_.outstanding_.erase(outstanding);
  if (samples.empty() && exhausted) throw std::bad_alloc();
  return samples;
}

// Takes the page out of writeback. True: what was sampled is still what the file holds or held.
bool FileAccess::end_writeback(PageSlot& slot, const SampledPage& sample) {
  SCALEFS_CHECK(slot.writeback);
  slot.writeback = false;
  if (sample.page < PageTree::kHeadPages) note_open(sample.page, slot);
  const auto it = node_.outstanding_.find(slot.ticket);
  if (--it->second == 0) {
    node_.outstanding_.erase(it);
    node_.writeback_done_.notify_all();
  }
  return slot.generation == sample.generation;
}

bool FileAccess::is_current(const SampledPage& sample) {
  PageSlot* slot = node_.tree_.find(sample.page);
  SCALEFS_CHECK(slot != nullptr);
  SpinLock lock(slot->lock);
  return slot->writeback && slot->generation == sample.generation;
}

namespace {

// The runs without the pages that are not `good`, whose blocks go to *stale.
template <class Good>
std::vector<ExtentsOp::Run> good_runs(const ExtentsOp& all, std::vector<BlockNo>* stale,
                                      Good good) {
  std::vector<ExtentsOp::Run> runs;
  for (const ExtentsOp::Run& run : all.runs) {
    bool open = false;
    for (size_t i = 0; i < run.crcs.size(); ++i) {
      const BlockNo block(run.block.v + i);
      if (!good(run.page + i)) {
        stale->push_back(block);
        open = false;
        continue;
      }
      if (!open) runs.push_back({run.page + i, block, {}});
      open = true;
      runs.back().crcs.push_back(run.crcs[i]);
    }
  }
  return runs;
}

}  // namespace

std::vector<BlockNo> FileAccess::finish_writeback(std::span<const SampledPage> pages,
                                                  const ExtentsOp& all) {
  const uint64_t cost = extents_log_bytes(pages.size());
  Room room(impl_);
  room.adopt(Need{.log_bytes = cost});
  std::vector<BlockNo> stale;
  SleepLock change(mnode_.change_lock);
  SCALEFS_CHECK(!pages.empty());
  RangeHold hold(node_, pages.front().page, pages.back().page + 1, true);
  (void)hold.newest();  // before slots become unsettled
  node_.mutex_.assert_held();
  std::vector<ExtentsOp::Run> runs = good_runs(all, &stale, [&](uint64_t page) NO_THREAD_SAFETY_ANALYSIS {
    const SampledPage* sample = find_sample(pages, page);
    SCALEFS_CHECK(sample != nullptr);
    return is_current(*sample);
  });
  size_t blocks = stale.size();
  for (const ExtentsOp::Run& run : runs) blocks += run.crcs.size();
  SCALEFS_CHECK(blocks == pages.size());
  std::unique_ptr<OpRecord> record;
  if (!runs.empty())
    record = impl_.make_record(ExtentsOp{mnode_.number, std::move(runs), 0}, cost);
  node_.dirty_.collect();  // nothing throws behind this
  FileNode::Settling settling(node_);
  for (const SampledPage& sample : pages) {
    PageSlot* slot = node_.tree_.find(sample.page);  // it keeps its leaf in the tree
    SpinLock slot_lock(slot->lock);
    if (!end_writeback(*slot, sample)) continue;
    slot->map = MapKind::block;
    slot->stamp = Overlay::kUnsettled;  // until the record has one; we hold the mutex
  }
  if (record == nullptr) return stale;
  auto& op = std::get<ExtentsOp>(record->op);
  for (const ExtentsOp::Run& run : op.runs) {
    for (size_t i = 0; i < run.crcs.size(); ++i) {
      PageSlot* slot = node_.tree_.find(run.page + i);
      SpinLock slot_lock(slot->lock);
      slot->block = BlockNo(run.block.v + i);
      slot->crc = run.crcs[i];
    }
  }
  op.covered_size = covered_size(node_.size(), pages);
  node_.logged_size_.store(op.covered_size, release);
  settle(log(std::move(record), hold, room, 0, [] {}), pages);
  return stale;
}

// The record of these pages has its stamp.
void FileAccess::settle(Stamp stamp, std::span<const SampledPage> pages) {
  node_.overlay_.settle(stamp);
  for (const SampledPage& sample : pages) {
    PageSlot* slot = node_.tree_.find(sample.page);
    SpinLock lock(slot->lock);
    if (slot->stamp == Overlay::kUnsettled) slot->stamp = stamp;
  }
}

void FileAccess::finish_inline(std::span<const SampledPage> pages) {
  const uint64_t cost = inline_log_bytes(pages.size());
  Room room(impl_);
  room.adopt(Need{.log_bytes = cost});
  SleepLock change(mnode_.change_lock);
  SCALEFS_CHECK(!pages.empty());
  RangeHold hold(node_, pages.front().page, pages.back().page + 1, true);
  (void)hold.newest();  // before slots become unsettled
  node_.mutex_.assert_held();
  InlineOp op{.target = mnode_.number, .pages = {}, .covered_size = 0};
  for (const SampledPage& sample : pages) {
    if (!is_current(sample)) continue;
    op.pages.push_back(
        {sample.page, std::vector<std::byte>(sample.copy.get(), sample.copy.get() + sample.bytes)});
  }
  const bool any = !op.pages.empty();
  std::unique_ptr<OpRecord> record = impl_.make_record(std::move(op), cost);
  node_.dirty_.collect();  // nothing throws behind this
  FileNode::Settling settling(node_);
  for (const SampledPage& sample : pages) {
    PageSlot* slot = node_.tree_.find(sample.page);  // it keeps its leaf in the tree
    SpinLock slot_lock(slot->lock);
    if (!end_writeback(*slot, sample)) continue;
    slot->map = MapKind::memory;
    slot->stamp = Overlay::kUnsettled;
  }
  if (!any) return;
  auto& logged = std::get<InlineOp>(record->op);
  logged.covered_size = covered_size(node_.size(), pages);
  node_.logged_size_.store(logged.covered_size, release);
  settle(log(std::move(record), hold, room, 0, [] {}), pages);
}

void FileAccess::abort_writeback(std::span<const SampledPage> pages) {
  Room room(impl_);
  room.adopt(Need{.blocks = pages.size()});
  Listing listing(*this);
  MutexLock lock(node_.mutex_);
  FileNode::Settling settling(node_);
  for (const SampledPage& sample : pages) {
    Leaf* leaf = node_.tree_.find_leaf(sample.page);
    PageSlot& slot = leaf->slot(sample.page);
    SpinLock slot_lock(slot.lock);
    if (!end_writeback(slot, sample)) continue;
    (void)take_block(slot, room);
    changed(*leaf, sample.page, slot, slot.is_mapped());
  }
}

void FileAccess::wait_writeback() {
  MutexLock lock(node_.mutex_);
  const uint64_t last = node_.writeback_ticket_;
  while (!node_.outstanding_.empty() && node_.outstanding_.begin()->first <= last)
    node_.writeback_done_.wait(node_.mutex_);
}

// A page that was dirty at the call is open until its record is settling. Acquires: the loads stay in order, the look at
// settling_ last.
bool FileAccess::all_logged() const {
  if (node_.rest_used_.load(acquire)) return false;
  for (uint64_t page = 0; page < PageTree::kHeadPages; ++page)
    if ((node_.tree_.head_slot(page).view.load(acquire) & PageSlot::kOpen) != 0) return false;
  return node_.logged_size_.load(acquire) >= node_.size() && !node_.settling_.load(acquire);
}

// Also cleans the set of leaves.
bool FileAccess::has_unlogged() {
  MutexLock lock(node_.mutex_);
  if (node_.logged_size_.load(relaxed) < node_.size() || !node_.outstanding_.empty()) return true;
  const auto is_open = [](Leaf& leaf) {
    for (uint64_t page = leaf.begin; page < leaf.end; ++page) {
      if (leaf.is_head() && !leaf.slot(page).has(PageSlot::kOpen)) continue;
      SpinLock slot_lock(leaf.slot(page).lock);
      if (leaf.slot(page).dirty || leaf.slot(page).writeback) return true;
    }
    return false;
  };
  if (is_open(node_.tree_.head())) return true;
  DirtyLeaves::Leaves& leaves = node_.dirty_.collect();
  for (auto it = leaves.begin(); it != leaves.end();) {
    DirtyLeaves::begin_look(*it->second);
    const bool keep = is_open(*it->second);
    it = node_.dirty_.end_look(it, keep);
    if (keep) return true;
  }
  return false;
}

}  // namespace scalefs::memfs
