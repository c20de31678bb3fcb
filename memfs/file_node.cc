#include "memfs/file_node.h"

#include <iterator>
#include <new>

#include "memfs/file_access.h"

namespace scalefs::memfs {

DirtyLeaves::Leaves& DirtyLeaves::collect() {
  Leaf* leaf = fresh_.exchange(nullptr, acq_rel);  // pairs with push
  while (leaf != nullptr) {
    Leaf* next = leaf->next_listed;
    try {
      leaves_.emplace(leaf->begin, leaf);
    } catch (const std::bad_alloc&) {
      for (; leaf != nullptr; leaf = next) {
        next = leaf->next_listed;
        push(*leaf);
      }
      throw;
    }
    leaf = next;
  }
  return leaves_;
}

DirtyLeaves::Leaves::iterator DirtyLeaves::end_look(Leaves::iterator at, bool keep) {
  if (!keep) return leaves_.erase(at);
  at->second->listed.store(true, release);
  return std::next(at);
}

bool DirtyLeaves::remove(Leaf& leaf) {
  return !leaf.listed.load(acquire) || leaves_.erase(leaf.begin) != 0;
}

void DirtyLeaves::push(Leaf& leaf) {
  leaf.next_listed = fresh_.load(relaxed);
  // seq_cst, for any(); release, for collect().
  while (!fresh_.compare_exchange(leaf.next_listed, &leaf, seq_cst, relaxed)) {
  }
}

FileNode::FileNode(uint64_t size, uint64_t blocks_512, bool loaded)
    : tail_unknown_(loaded),
      rest_used_(loaded),
      mapped_pages_(static_cast<int64_t>(blocks_512 / (kBlockBytes / 512))),
      logged_size_(size) {
  raise_size(size);
  if (loaded) return;
  // A new file's pages are holes until a checkpoint knows the file.
  overlay_.set_hole(PageTree::kHeadPages, Overlay::kEnd, Overlay::kUnsettled);
  for (uint64_t page = 0; page < PageTree::kHeadPages; ++page) {
    PageSlot& slot = tree_.head_slot(page);
    SpinLock lock(slot.lock);
    slot.map = MapKind::hole;
    slot.view.store(PageSlot::kZero, relaxed);
    tree_.mark(page).state.store(PageMark::kKnown, relaxed);
  }
}

std::unique_ptr<FileNode> FileNode::make(uint64_t size, uint64_t blocks_512, bool loaded) {
  return std::unique_ptr<FileNode>(new FileNode(size, blocks_512, loaded));
}

FileNode::~FileNode() {
  for (Leaf* leaf = tree_.next_leaf(0); leaf != nullptr; leaf = tree_.next_leaf(leaf->end)) {
    for (uint64_t page = leaf->begin; page < leaf->end; ++page) {
      if (std::byte* bytes = leaf->slot(page).page.load(relaxed)) free_page(bytes);
    }
  }
}

uint64_t FileNode::blocks_512() const {
  // Relaxed: a page that is counted twice for a moment belongs to a call that has not returned.
  int64_t pages = mapped_pages_.load(relaxed);
  for (uint64_t page = 0; page < PageTree::kHeadPages; ++page) {
    const uint8_t state = tree_.mark(page).state.load(relaxed);
    pages += ((state & PageMark::kMapped) != 0) - ((state & PageMark::kInBase) != 0);
  }
  return pages <= 0 ? 0 : static_cast<uint64_t>(pages) * (kBlockBytes / 512);
}

void FileNode::drop_all(MemFs::Impl& impl, Mnode& mnode) { FileAccess(impl, mnode).drop_all(); }

void FileAccess::drop_all() {
  Room room(impl_);
  {
    RangeHold hold(node_, 0, kEndPage);
    node_.mutex_.assert_held();
    room.blocks += count_absent(AbsentPages{}, 0, kEndPage).reserved;
    drop_pages(0, kEndPage, room);
  }
  impl_.data->cached.remove(node_.cached_link_);
}

}  // namespace scalefs::memfs
