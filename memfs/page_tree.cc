#include "memfs/page_tree.h"

#include <algorithm>
#include <cstddef>
#include <new>

#include "base/check.h"
#include "base/epoch.h"
#include "base/memory.h"

namespace scalefs::memfs {

Leaf* PageTree::make_leaf(uint64_t page) {
  const uint64_t base = page & ~(kLeafPages - 1);
  const uint64_t end = base + kLeafPages;
  const size_t bytes = Leaf::kHeader + (end - base) * sizeof(PageSlot);
  void* memory = ::operator new(bytes, std::align_val_t{64});
  Leaf* leaf = new (memory) Leaf(base, leaf_begin(page), end);
  for (uint64_t i = 0; i < end - base; ++i) new (leaf->slots() + i) PageSlot;
  memory_count(MemoryClass::page_tree, static_cast<int64_t>(bytes));
  return leaf;
}

void PageTree::free_leaf(void* memory) {
  Leaf* leaf = static_cast<Leaf*>(memory);
  const size_t bytes = Leaf::kHeader + (leaf->end - leaf->base) * sizeof(PageSlot);
  memory_count(MemoryClass::page_tree, -static_cast<int64_t>(bytes));
  // Slots and leaves have trivial contents.
  ::operator delete(memory, std::align_val_t{64});
}

uint64_t PageTree::leaf_begin(uint64_t page) {
  if (page < kHeadPages) return 0;
  return std::max(kHeadPages, page & ~(kLeafPages - 1));
}

uint64_t PageTree::leaf_end(uint64_t page) {
  return page < kHeadPages ? kHeadPages : (page & ~(kLeafPages - 1)) + kLeafPages;
}

PageTree::PageTree() {
  static_assert(sizeof(Leaf) <= Leaf::kHeader && offsetof(Head, slots) == Leaf::kHeader);
  memory_count(MemoryClass::page_tree, sizeof(PageTree));
}

PageTree::~PageTree() {
  memory_count(MemoryClass::page_tree, -static_cast<int64_t>(sizeof(PageTree)));
  if (Inner* root = root_.load(relaxed)) free_below(root);
}

void PageTree::free_below(Inner* node) {
  for (Atomic<void*>& slot : node->child) {
    void* child = slot.load(relaxed);
    if (child == nullptr) continue;
    if (node->shift == 0) {
      free_leaf(child);
    } else {
      free_below(static_cast<Inner*>(child));
    }
  }
  memory_count(MemoryClass::page_tree, -static_cast<int64_t>(sizeof(Inner)));
  delete node;
}

Leaf* PageTree::find_leaf(uint64_t page) const {
  if (page < kHeadPages) return const_cast<Leaf*>(&head_.leaf);
  const uint64_t key = page >> kLeafShift;
  const Inner* node = root_.load(acquire);  // pairs with root_for
  if (node == nullptr || key >> node->shift >= kFanout) return nullptr;
  for (;;) {
    void* child = node->child[(key >> node->shift) & (kFanout - 1)].load(acquire);  // with leaf_of
    if (child == nullptr || node->shift == 0) return static_cast<Leaf*>(child);
    node = static_cast<const Inner*>(child);
  }
}

// A root that is high enough for `key`.
PageTree::Inner* PageTree::root_for(uint64_t key) {
  Inner* root = root_.load(acquire);  // pairs with the exchange below
  while (root == nullptr || key >> root->shift >= kFanout) {
    auto* higher = new Inner(root == nullptr ? 0 : root->shift + kInnerShift);
    higher->child[0].store(root, relaxed);
    if (root_.compare_exchange(root, higher, acq_rel, acquire)) {
      memory_count(MemoryClass::page_tree, sizeof(Inner));
      root = higher;
    } else {
      delete higher;
    }
  }
  return root;
}

Leaf& PageTree::leaf_of(uint64_t page) {
  if (Leaf* leaf = find_leaf(page)) return *leaf;
  Leaf* fresh = make_leaf(page);
  const uint64_t key = page >> kLeafShift;
  try {
    Inner* node = root_for(key);
    for (;;) {
      Atomic<void*>& place = node->child[(key >> node->shift) & (kFanout - 1)];
      void* child = place.load(acquire);  // pairs with the exchanges below
      if (child == nullptr) {
        void* next = node->shift == 0 ? static_cast<void*>(fresh)
                                      : static_cast<void*>(new Inner(node->shift - kInnerShift));
        if (place.compare_exchange(child, next, acq_rel, acquire)) {
          if (node->shift == 0) return *fresh;
          memory_count(MemoryClass::page_tree, sizeof(Inner));
          child = next;
        } else if (node->shift != 0) {
          delete static_cast<Inner*>(next);
        }
      }
      if (node->shift == 0) {
        free_leaf(fresh);
        return *static_cast<Leaf*>(child);
      }
      node = static_cast<Inner*>(child);
    }
  } catch (const std::bad_alloc&) {
    free_leaf(fresh);
    throw;
  }
}

// The first leaf below `node` with a key of at least `key`; `key` is below the node's range's end.
Leaf* PageTree::next_below(const Inner& node, uint64_t key) {
  const uint64_t base = key >> node.shift >> kInnerShift << kInnerShift << node.shift;
  for (size_t i = (key >> node.shift) & (kFanout - 1); i < kFanout; ++i) {
    void* child = node.child[i].load(acquire);  // pairs with leaf_of
    if (child == nullptr) continue;
    if (node.shift == 0) return static_cast<Leaf*>(child);
    const uint64_t from = std::max(key, base + (static_cast<uint64_t>(i) << node.shift));
    if (Leaf* leaf = next_below(*static_cast<const Inner*>(child), from)) return leaf;
  }
  return nullptr;
}

Leaf* PageTree::next_leaf(uint64_t page) const {
  if (page < kHeadPages) return const_cast<Leaf*>(&head_.leaf);
  const uint64_t key = page >> kLeafShift;
  const Inner* root = root_.load(acquire);  // pairs with root_for
  if (root == nullptr || key >> root->shift >= kFanout) return nullptr;
  return next_below(*root, key);
}

void PageTree::remove(Leaf& leaf) {
  SCALEFS_CHECK(!leaf.is_head());
  const uint64_t key = leaf.base >> kLeafShift;
  Inner* node = root_.load(acquire);  // pairs with root_for
  while (node->shift != 0) {
    node = static_cast<Inner*>(node->child[(key >> node->shift) & (kFanout - 1)].load(acquire));
  }
  Atomic<void*>& place = node->child[key & (kFanout - 1)];
  SCALEFS_CHECK(place.load(relaxed) == &leaf);
  place.store(nullptr, release);  // nothing is published by it; readers may still see the leaf
  epoch::retire(&leaf, free_leaf);
}

}  // namespace scalefs::memfs
