#include "diskfs/checkpoint_bound.h"

#include <algorithm>

#include "diskfs/batch.h"
#include "diskfs/items.h"

namespace scalefs::diskfs {

namespace {

// The worst that each operation does in apply.cc. An erase may change the leaf and the neighbour it is
// joined with; a range erase does so at both its ends.
constexpr uint64_t kErase = 2;
constexpr uint64_t kRangeErase = 4;
// Unmapping a range: what is left of the mappings at its two ends, shortened or stored anew.
constexpr uint64_t kUnmap = kRangeErase + 4;
constexpr uint64_t kMappingBytes = kLeafSlotBytes + 9;

class WorkCounter final : public BatchVisitor {
 public:
  explicit WorkCounter(PendingWork* work) : work_(work) {}

  Status put_inode(Ino, const InodeItem&) override {
    return add(1 + kErase, 1, kLeafSlotBytes + kInodeItemBytes);
  }
  Status delete_inode(Ino) override {
    return add(kRangeErase + kErase + 1, 1, kLeafSlotBytes);
  }
  Status put_dirent(Ino, uint64_t, std::string_view name, const DirentTarget&) override {
    return add(3, 1, kLeafSlotBytes + 18 + name.size());
  }
  Status del_dirent(Ino, uint64_t, std::string_view) override { return add(kErase + 1, 0, 0); }
  Status put_extent(Ino, uint64_t, BlockNo, std::span<const uint32_t> crcs) override {
    return add(kUnmap + 1 + kErase + 1, 3, 3 * kMappingBytes + crcs.size() * 4);
  }
  Status put_unwritten(Ino, uint64_t, uint64_t count) override {
    const uint64_t gaps = count / 2 + 1;
    return add(1 + (1 + kErase) * gaps, gaps, gaps * kMappingBytes);
  }
  Status put_inline(Ino, uint64_t page, ConstBytes content) override {
    if (page > 0 || content.size() > kInlineItemBytesMax) ++work_->inline_pages;
    return add(kUnmap + 1 + kErase + 1, 3,
               3 * kMappingBytes + std::min(content.size(), kInlineItemBytesMax));
  }
  Status punch(Ino, uint64_t, uint64_t) override { return add(kUnmap + 1, 2, 2 * kMappingBytes); }
  Status put_xattr(Ino, std::string_view name, ConstBytes value) override {
    const uint64_t chunks = xattr_chunk_count(static_cast<uint32_t>(value.size()));
    return add(kErase + kRangeErase + chunks, 1 + chunks,
               (1 + chunks) * kLeafSlotBytes + 16 + name.size() + value.size());
  }
  Status del_xattr(Ino, std::string_view) override { return add(kErase + kRangeErase, 0, 0); }
  Status put_orphan(Ino) override { return add(1, 1, kLeafSlotBytes); }
  Status del_orphan(Ino) override { return add(kErase, 0, 0); }
  Status set_mnode_mark(uint32_t, uint64_t) override { return add(1, 1, kLeafSlotBytes + 8); }

 private:
  Status add(uint64_t places, uint64_t items, uint64_t bytes) {
    work_->places += places;
    work_->items += items;
    work_->item_bytes += bytes;
    return {};
  }
  PendingWork* work_;
};

}  // namespace

Status PendingWork::add(ConstBytes batch) {
  WorkCounter counter(this);
  return visit_batch(batch, counter);
}

PendingWork& PendingWork::operator+=(const PendingWork& other) {
  places += other.places;
  items += other.items;
  item_bytes += other.item_bytes;
  inline_pages += other.inline_pages;
  return *this;
}

uint64_t checkpoint_blocks_bound(const PendingWork& work, uint32_t tree_height,
                                 uint64_t tree_nodes) {
  if (work.places == 0) return work.inline_pages;
  constexpr uint64_t kChildrenMin = kChildrenMax / 4;
  uint64_t in_level = tree_height == 0 ? 0 : tree_nodes;
  uint64_t touched = std::min(work.places, in_level);
  uint64_t created =
      std::min(work.items, 3 * touched + 4 * work.item_bytes / kNodeCapacity + 1);
  uint64_t total = touched + created;
  for (uint32_t level = 1; level < kTreeHeightMax; ++level) {
    const bool old_level = level < tree_height;
    if (!old_level && created == 0) break;
    in_level = in_level / kChildrenMin + 1;
    touched = old_level ? std::min(work.places, in_level) : 0;
    const uint64_t last_created = created;
    created = std::min(created, 3 * touched + created / kChildrenMin + 1);
    total += touched + created;
    if (!old_level && last_created == 1) break;
  }
  return total + work.inline_pages;
}

uint64_t tree_nodes_bound(uint32_t tree_height, uint64_t root_children, uint64_t used_blocks) {
  uint64_t nodes = tree_height == 0 ? 0 : 1;
  uint64_t in_level = root_children;
  for (uint32_t level = 1; level < tree_height && nodes < used_blocks; ++level) {
    nodes += in_level;
    in_level *= kChildrenMax;
  }
  return std::min(nodes, used_blocks);
}

}  // namespace scalefs::diskfs
