#include "memfs/page_tree.h"

#include <gtest/gtest.h>

#include <set>

#include "base/epoch.h"
#include "base/memory.h"
#include "base/random.h"

namespace scalefs::memfs {
namespace {

TEST(PageTree, EmptyHasNothingBehindTheFirstPages) {
  PageTree tree;
  EXPECT_EQ(tree.find(0), &tree.head_slot(0));
  EXPECT_EQ(tree.find(PageTree::kHeadPages), nullptr);
  EXPECT_EQ(tree.find(uint64_t{1} << 31), nullptr);
  EXPECT_EQ(tree.next_leaf(0), &tree.head());
  EXPECT_EQ(tree.next_leaf(PageTree::kHeadPages), nullptr);
}

TEST(PageTree, FirstPagesHaveAShortLeafOfTheirOwn) {
  PageTree tree;
  Leaf& head = tree.leaf_of(3);
  EXPECT_EQ(head.begin, 0u);
  EXPECT_EQ(head.end, PageTree::kHeadPages);
  EXPECT_EQ(tree.find(PageTree::kHeadPages), nullptr);
  Leaf& next = tree.leaf_of(PageTree::kHeadPages);
  EXPECT_EQ(next.begin, PageTree::kHeadPages);
  EXPECT_EQ(next.end, PageTree::kLeafPages);
  EXPECT_EQ(tree.next_leaf(PageTree::kHeadPages), &next);
  EXPECT_EQ(tree.next_leaf(0), &head);
}

TEST(PageTree, EachPageHasItsOwnLine) {
  PageTree tree;
  std::set<PageSlot*> seen;
  for (uint64_t page = 0; page < 200; ++page) {
    PageSlot* slot = &tree.leaf_of(page).slot(page);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(slot) % 64, 0u);
    EXPECT_TRUE(seen.insert(slot).second);
    EXPECT_EQ(tree.find(page), slot);
  }
}

TEST(PageTree, LastPageOfTheLargestFile) {
  PageTree tree;
  const uint64_t last = (kFileBytesMax >> kBlockShift) - 1;
  Leaf& leaf = tree.leaf_of(last);
  EXPECT_EQ(tree.find(last), &leaf.slot(last));
  EXPECT_EQ(tree.next_leaf(PageTree::kHeadPages), &leaf);
  EXPECT_EQ(tree.next_leaf(last + 1), nullptr);
}

TEST(PageTree, RandomInsertRemoveWalk) {
  epoch::drain();
  const int64_t before = memory_bytes(MemoryClass::page_tree);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    PageTree tree;
    std::set<uint64_t> begins{0};  // always there
    for (int step = 0; step < 300; ++step) {
      const uint64_t page = random.below(uint64_t{1} << random.between(1, 32));
      if (random.percent(70)) {
        EXPECT_EQ(tree.leaf_of(page).begin, PageTree::leaf_begin(page));
        begins.insert(PageTree::leaf_begin(page));
      } else if (Leaf* leaf = tree.next_leaf(page); leaf != nullptr && !leaf->is_head()) {
        begins.erase(leaf->begin);
        tree.remove(*leaf);
      }
      const auto want = begins.lower_bound(PageTree::leaf_begin(page));
      Leaf* got = tree.next_leaf(page);
      ASSERT_EQ(got == nullptr, want == begins.end());
      if (got != nullptr) {
        ASSERT_EQ(got->begin, *want);
      }
    }
    std::set<uint64_t> walked;
    for (Leaf* leaf = tree.next_leaf(0); leaf != nullptr; leaf = tree.next_leaf(leaf->end))
      walked.insert(leaf->begin);
    EXPECT_EQ(walked, begins);
  }
  epoch::drain();
  EXPECT_EQ(memory_bytes(MemoryClass::page_tree), before);
}

}  // namespace
}  // namespace scalefs::memfs
