// What a call on a range of a file's pages holds, and what an append holds; the protocol stands in file_node.h.
#pragma once

#include <algorithm>

#include "memfs/file_node.h"

namespace scalefs::memfs {

// Pages [from, to), with `rest` also all beyond the first pages: the `hold`s of those among the first pages, ascending, then the mutex when the range goes
// beyond. What happens under it is not interrupted by a call that changes what one of the pages stands for.
class RangeHold {
 public:
  RangeHold(FileNode& node, uint64_t from, uint64_t to, bool rest = false) NO_THREAD_SAFETY_ANALYSIS
      : node_(node),
        from_(std::min(from, PageTree::kHeadPages)),
        to_(std::clamp(to, from_, PageTree::kHeadPages)),
        rest_(rest || to > PageTree::kHeadPages) {
    for (uint64_t page = from_; page < to_; ++page) node_.tree_.head_slot(page).hold.lock();
    if (rest_) node_.mutex_.lock();
  }
  ~RangeHold() { release(); }
  RangeHold(const RangeHold&) = delete;
  RangeHold& operator=(const RangeHold&) = delete;

  void release() NO_THREAD_SAFETY_ANALYSIS {
    if (rest_) node_.mutex_.unlock();
    for (; to_ > from_; --to_) node_.tree_.head_slot(to_ - 1).hold.unlock();
    rest_ = false;
  }
  // Also pages beyond the first ones: the mutex is held.
  bool rest() const { return rest_; }
  // The stamps that were given under earlier holds of these pages are not above it. Keeps it: slots may lose theirs.
  Stamp newest() NO_THREAD_SAFETY_ANALYSIS {
    if (rest_) newest_ = std::max(newest_, node_.last_stamp_);
    for (uint64_t page = from_; page < to_; ++page) {
      PageSlot& slot = node_.tree_.head_slot(page);
      SpinLock lock(slot.lock);
      if (slot.stamp != Overlay::kUnsettled) newest_ = std::max(newest_, slot.stamp);
    }
    return newest_;
  }
  // The same for those who hold them after us.
  void set_newest(Stamp stamp) NO_THREAD_SAFETY_ANALYSIS {
    if (rest_) node_.last_stamp_ = stamp;
    for (uint64_t page = from_; page < to_; ++page) {
      PageSlot& slot = node_.tree_.head_slot(page);
      SpinLock lock(slot.lock);
      slot.stamp = stamp;
    }
  }
  // A caller that is about to extend the file or to map pages of it. False: an append or a truncation is at work; let
  // go, and wait for it.
  bool may_extend() {
    if (rest_) node_.note_rest();
    if (node_.frozen_.load(seq_cst)) return false;  // pairs with SizeFreeze
    newest_ = node_.cut_stamp_.load(relaxed);  // ordered by the load above
    return true;
  }

 private:
  FileNode& node_;
  const uint64_t from_;
  uint64_t to_;
  bool rest_;
  Stamp newest_ = 0;
};

// From construction to destruction nobody but the holder extends or cuts the file, or maps pages behind its end; who began
// before may still do so in front of page `first`.
class SCOPED_CAPABILITY SizeFreeze {
 public:
  explicit SizeFreeze(FileNode& node, uint64_t first = 0) ACQUIRE(node.tail_mutex_) NO_THREAD_SAFETY_ANALYSIS
      : node_(node) {
    node.tail_mutex_.lock();
    node.frozen_.store(true, seq_cst);  // pairs with may_extend
    // Whoever extends now has not looked yet, or holds its pages: wait for it. From behind: who extends in front of
    // the end does not move it.
    for (uint64_t page = PageTree::kHeadPages; page-- > first;) {
      const Atomic<uint16_t>& end = node.tree_.mark(page).end;
      if (end.load(acquire) == kBlockBytes) break;
      SleepBit& hold = node.tree_.head_slot(page).hold;
      if (hold.held()) {
        hold.lock();
        hold.unlock();
      }
      if (end.load(acquire) != 0) break;
    }
    if (!node.rest_used_.load(seq_cst)) return;
    node.mutex_.lock();
    node.mutex_.unlock();
  }
  ~SizeFreeze() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    node_.frozen_.store(false, release);
    node_.tail_mutex_.unlock();
  }
  SizeFreeze(const SizeFreeze&) = delete;
  SizeFreeze& operator=(const SizeFreeze&) = delete;
  // Until what may_extend() saw is over.
  static void wait(FileNode& node) { MutexLock lock(node.tail_mutex_); }

 private:
  FileNode& node_;
};

}  // namespace scalefs::memfs
