// TreeWriter: erasing, and the joining of nodes that have become too empty.
#include "diskfs/tree_writer_node.h"

namespace scalefs::diskfs {

namespace {

constexpr size_t kUsedBytesMin = kNodeCapacity / 3;

// The entries of two neighbours, to be dealt out anew. `separator` is the parent's key of the right one:
// the lower bound of all that its first child holds.
struct Neighbours {
  NodeView left;
  NodeView right;
  Key separator;

  void append(std::byte* page, uint32_t from, uint32_t to) const {
    const uint32_t middle = left.count();
    const uint32_t at = NodeView(page).count();
    if (from < middle) append_entries(page, left, from, to < middle ? to : middle);
    if (to <= middle) return;
    append_entries(page, right, from > middle ? from - middle : 0, to - middle);
    if (!right.is_leaf() && from <= middle) {
      child_set_key(page, at + (middle - (from < middle ? from : middle)), separator);
    }
  }
  size_t bytes(uint32_t i) const {
    if (!left.is_leaf()) return kChildEntryBytes;
    const uint32_t middle = left.count();
    return leaf_item_bytes(i < middle ? left.value(i).size() : right.value(i - middle).size());
  }
};

// The number of entries for the left node that makes both most nearly equal.
uint32_t even_split(const Neighbours& nodes, uint32_t count) {
  const size_t total = nodes.left.used_bytes() + nodes.right.used_bytes();
  size_t left = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const size_t next = left + nodes.bytes(i);
    if (2 * next >= total) return 2 * next - total <= total - 2 * left ? i + 1 : i;
    left = next;
  }
  return count;
}

}  // namespace

Result<bool> TreeWriter::erase(const Key& key) {
  if (height_ == 0) return false;
  SCALEFS_TRY(Path* const path, at(key));
  Step& leaf = path->leaf();
  if (leaf.index >= leaf.view().count() || leaf.view().key(leaf.index) != key) return false;
  make_dirty(path, height_ - 1);
  leaf_erase(leaf.dirty->bytes(), leaf.index, leaf.index + 1);
  SCALEFS_TRY_VOID(rebalance(path, height_ - 1));
  return true;
}

Status TreeWriter::erase_range(const Key& from, const Key& to, const ItemVisitor& visitor) {
  for (;;) {
    SCALEFS_TRY(Path* const path, seek(from));
    if (path == nullptr) return {};
    Step& leaf = path->leaf();
    const NodeView node = leaf.view();
    const uint32_t begin = leaf.index;
    const uint32_t end = node.lower_bound(to);
    if (begin >= end) return {};
    if (visitor) {
      for (uint32_t i = begin; i < end; ++i) {
        SCALEFS_TRY_VOID(visitor(node.key(i), node.value(i)));
      }
    }
    const bool last = end < node.count();
    if (end - begin == node.count()) {
      SCALEFS_TRY_VOID(drop_leaf(path));
    } else {
      make_dirty(path, height_ - 1);
      leaf_erase(leaf.dirty->bytes(), begin, end);
      SCALEFS_TRY_VOID(rebalance(path, height_ - 1));
    }
    if (last) return {};
  }
}

// Takes the child at `index` out of the changed node at `depth`, with what is in memory of it.
void TreeWriter::erase_child(Path* path, uint32_t depth, uint32_t index) {
  DirtyNode* node = path->steps[depth].dirty;
  const NodeAddress address = node->view().child(index);
  std::unique_ptr<DirtyNode> child = std::move(node->children[index]);
  if (child) {
    free_node(std::move(child));
  } else {
    forget_clean(address.block);
  }
  child_erase(node->bytes(), index);
  node->children.erase(node->children.begin() + index);
}

Status TreeWriter::drop_leaf(Path* path) {
  if (height_ == 1) {
    if (dirty_root_) {
      free_node(std::move(dirty_root_));
    } else {
      forget_clean(root_.block);
    }
    height_ = 0;
    return {};
  }
  const uint32_t parent = height_ - 2;
  make_dirty(path, parent);
  erase_child(path, parent, path->steps[parent].index);
  return rebalance(path, parent);
}

// After an erase in the changed node at `depth`: joins it with a neighbour or removes it where it
// has become too empty, and goes on with its parent where that lost a child.
Status TreeWriter::rebalance(Path* path, uint32_t depth) {
  while (depth > 0) {
    const NodeView node = path->steps[depth].view();
    if (node.count() == 0) {
      erase_child(path, depth - 1, path->steps[depth - 1].index);
    } else {
      if (node.used_bytes() >= kUsedBytesMin) break;
      if (path->steps[depth - 1].view().count() > 1) {
        SCALEFS_TRY(const bool joined, join_or_share(path, depth));
        if (!joined) break;
      }
    }
    --depth;
  }
  collapse_root();
  return {};
}

// Joins the changed node at `depth` with a neighbour under the same parent (true), or deals their
// entries out evenly where one node cannot hold them (false).
Result<bool> TreeWriter::join_or_share(Path* path, uint32_t depth) {
  Step& parent = path->steps[depth - 1];
  const uint32_t mine = parent.index;
  const uint32_t other = mine > 0 ? mine - 1 : mine + 1;
  const uint32_t right_index = mine > 0 ? mine : other;
  DirtyNode* node = path->steps[depth].dirty;
  Path beside;
  beside.steps[depth - 1] = parent;
  beside.steps[depth - 1].index = other;
  SCALEFS_TRY_VOID(load_child(&beside, depth - 1));
  const NodeView sibling = beside.steps[depth].view();
  const NodeView own = node->view();
  const Neighbours both{mine > 0 ? sibling : own, mine > 0 ? own : sibling,
                        parent.view().key(right_index)};
  const uint32_t count = own.count() + sibling.count();
  const bool join = own.used_bytes() + sibling.used_bytes() <= kNodeCapacity;
  const uint32_t middle = join ? count : even_split(both, count);

  std::unique_ptr<DirtyNode> left = new_node(own.level());
  both.append(left->bytes(), 0, middle);
  std::unique_ptr<DirtyNode> right = new_node(own.level());
  if (!join) both.append(right->bytes(), middle, count);
  if (!own.is_leaf()) {
    // The children in memory of both nodes, in order, then dealt out like the entries.
    std::vector<std::unique_ptr<DirtyNode>> children = std::move(node->children);
    std::vector<std::unique_ptr<DirtyNode>> others(sibling.count());
    if (beside.steps[depth].dirty) others = std::move(beside.steps[depth].dirty->children);
    auto& first = mine > 0 ? others : children;
    auto& second = mine > 0 ? children : others;
    for (auto& child : second) first.push_back(std::move(child));
    for (uint32_t i = 0; i < count; ++i) {
      (i < middle ? left : right)->children.push_back(std::move(first[i]));
    }
  }
  const uint32_t left_index = right_index - 1;
  DirtyNode* above = parent.dirty;
  const auto replace = [&](uint32_t index, std::unique_ptr<DirtyNode> with) {
    if (above->children[index]) {
      free_node(std::move(above->children[index]));
    } else {
      forget_clean(above->view().child(index).block);
    }
    above->children[index] = std::move(with);
  };
  const Key right_key = join ? Key() : right->view().key(0);
  replace(left_index, std::move(left));
  if (join) {
    free_node(std::move(right));
    erase_child(path, depth - 1, right_index);
  } else {
    replace(right_index, std::move(right));
    make_room_for_key(path, depth - 1, right_key);
    child_set_key(above->bytes(), right_index, right_key);
  }
  return join;
}

// Removes root nodes that have become empty or have one child.
void TreeWriter::collapse_root() {
  while (dirty_root_) {
    const NodeView root = dirty_root_->view();
    if (root.count() == 0) {
      free_node(std::move(dirty_root_));
      height_ = 0;
      return;
    }
    if (root.is_leaf() || root.count() > 1) return;
    const NodeAddress address = root.child(0);
    std::unique_ptr<DirtyNode> child = std::move(dirty_root_->children[0]);
    free_node(std::move(dirty_root_));
    --height_;
    root_ = {address.block, address.crc, height_, address.generation};
    dirty_root_ = std::move(child);
  }
}

}  // namespace scalefs::diskfs
