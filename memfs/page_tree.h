// The pages of one file: a radix tree keyed by page index, with leaves of 64 slots. The first pages stand in a
// short leaf that is part of the tree itself and always there: a small file needs no more than that, and calls on
// different pages of it meet in no pointer that one of them writes.
//
// Lookups and insertions take no lock; the caller holds an EpochGuard or the file's mutex. Leaves are
// removed under the file's mutex, after all their slots were marked dead under their locks: whoever had
// found a slot before looks up again. Inner nodes stay until the tree ends.
#pragma once

#include "memfs/page_slot.h"

namespace scalefs::memfs {

struct Leaf {
  // Slots of pages [base, end); those below `begin` are not in use.
  const uint64_t base;
  const uint64_t begin;
  const uint64_t end;
  // In the file's set of leaves that may have dirty pages or pages in writeback (DirtyLeaves).
  Atomic<bool> listed{false};
  Leaf* next_listed = nullptr;

  // Neighbouring pages lie apart: processors fetch lines in pairs, and cores that share a file often take turns.
  PageSlot& slot(uint64_t page) {
    const uint64_t twice = (page - base) * 2;
    const uint64_t count = end - base;  // a power of two
    return slots()[(twice & (count - 1)) + (twice >= count ? 1 : 0)];
  }
  bool is_head() const { return begin == 0; }

 private:
  friend class PageTree;
  Leaf(uint64_t base_page, uint64_t begin_page, uint64_t end_page)
      : base(base_page), begin(begin_page), end(end_page) {}
  PageSlot* slots() { return reinterpret_cast<PageSlot*>(reinterpret_cast<char*>(this) + kHeader); }
  static constexpr size_t kHeader = 64;
};

class PageTree {
 public:
  static constexpr uint64_t kHeadPages = 8;
  static constexpr unsigned kLeafShift = 6;
  static constexpr uint64_t kLeafPages = uint64_t{1} << kLeafShift;

  PageTree();
  // Frees leaves and nodes, not the pages of slots. Nothing else runs.
  ~PageTree();
  PageTree(const PageTree&) = delete;
  PageTree& operator=(const PageTree&) = delete;

  // Null when there is none.
  Leaf* find_leaf(uint64_t page) const;
  PageSlot* find(uint64_t page) const {
    Leaf* leaf = find_leaf(page);
    return leaf != nullptr ? &leaf->slot(page) : nullptr;
  }
  PageSlot& head_slot(uint64_t page) { return head_.leaf.slot(page); }
  const PageSlot& head_slot(uint64_t page) const {
    return const_cast<PageTree*>(this)->head_slot(page);
  }
  PageMark& mark(uint64_t page) { return marks_[page]; }
  const PageMark& mark(uint64_t page) const { return marks_[page]; }
  Leaf& head() { return head_.leaf; }
  // Finds or makes it. Throws std::bad_alloc.
  Leaf& leaf_of(uint64_t page);
  // The first leaf that has a page at or beyond `page`, in order.
  Leaf* next_leaf(uint64_t page) const;
  // Takes the leaf out and retires it; not the head. All its slots are dead; the file's mutex is held.
  void remove(Leaf& leaf);

  // The pages [first, last) that share a leaf with `page`.
  static uint64_t leaf_begin(uint64_t page);
  static uint64_t leaf_end(uint64_t page);

 private:
  static constexpr unsigned kInnerShift = 6;
  static constexpr size_t kFanout = size_t{1} << kInnerShift;
  // Children at `shift` 0 are leaves. A child is stored by release and found by acquire loads.
  struct Inner {
    explicit Inner(unsigned s) : shift(s) {}
    const unsigned shift;
    Atomic<void*> child[kFanout]{};
  };

  static Leaf* make_leaf(uint64_t page);
  static void free_leaf(void* leaf);
  Inner* root_for(uint64_t key);
  static Leaf* next_below(const Inner& node, uint64_t key);
  static void free_below(Inner* node);

  struct alignas(64) Head {
    Leaf leaf{0, 0, kHeadPages};
    PageSlot slots[kHeadPages];
  };

  Atomic<Inner*> root_{nullptr};
  Head head_;
  PageMark marks_[kHeadPages];
};

}  // namespace scalefs::memfs
