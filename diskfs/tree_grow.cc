// TreeWriter: insertion, and the splitting of nodes that are full.
#include "diskfs/tree_writer_node.h"

namespace scalefs::diskfs {

namespace {

// The items of a full leaf with the new one in its place.
struct LeafSequence {
  NodeView old;
  uint32_t index;  // of the new item
  const Key& key;
  ConstBytes value;

  uint32_t count() const { return old.count() + 1; }
  size_t bytes(uint32_t i) const {
    if (i == index) return leaf_item_bytes(value.size());
    return leaf_item_bytes(old.value(i < index ? i : i - 1).size());
  }
  void append(std::byte* page, uint32_t i) const {
    const uint32_t end = NodeView(page).count();
    if (i == index) {
      leaf_insert(page, end, key, value);
    } else {
      const uint32_t source = i < index ? i : i - 1;
      leaf_insert(page, end, old.key(source), old.value(source));
    }
  }
};

// How many of the items go to the left of two leaves: the count nearest to `target` bytes for which both
// fit. There is one, because no item takes more than half a leaf.
uint32_t split_point(const LeafSequence& items, size_t target) {
  size_t total = 0;
  for (uint32_t i = 0; i < items.count(); ++i) total += items.bytes(i);
  uint32_t best = 0;
  size_t best_distance = SIZE_MAX;
  size_t left = 0;
  for (uint32_t i = 0; i + 1 < items.count(); ++i) {
    left += items.bytes(i);
    if (left > kNodeCapacity) break;
    if (total - left > kNodeCapacity) continue;
    const size_t distance = left > target ? left - target : target - left;
    if (distance < best_distance) {
      best = i + 1;
      best_distance = distance;
    }
  }
  SCALEFS_CHECK(best > 0);
  return best;
}

}  // namespace

void TreeWriter::put_first(const Key& key, ConstBytes value) {
  dirty_root_ = new_node(0);
  height_ = 1;
  leaf_insert(dirty_root_->bytes(), 0, key, value);
}

Status TreeWriter::put(const Key& key, ConstBytes value) {
  SCALEFS_CHECK(value.size() <= kItemValueMax && key < Key::end());
  if (height_ == 0) {
    put_first(key, value);
    return {};
  }
  // A sound tree never comes near; one more level would not be readable.
  if (height_ >= kTreeHeightMax) return Errno(EUCLEAN);
  SCALEFS_TRY(Path* const path, at(key));
  Step& leaf = path->leaf();
  const bool found = leaf.index < leaf.view().count() && leaf.view().key(leaf.index) == key;
  if (found) {
    const ConstBytes old = leaf.view().value(leaf.index);
    if (old.size() == value.size() &&
        (old.empty() || std::memcmp(old.data(), value.data(), old.size()) == 0)) {
      return {};
    }
  }
  make_dirty(path, height_ - 1);
  std::byte* page = leaf.dirty->bytes();
  if (found) {
    const size_t old_size = leaf.view().value(leaf.index).size();
    if (leaf_replace(page, leaf.index, value)) {
      return value.size() < old_size ? rebalance(path, height_ - 1) : Status();
    }
    leaf_erase(page, leaf.index, leaf.index + 1);
  }
  if (leaf_fits(page, value.size())) {
    leaf_insert(page, leaf.index, key, value);
  } else {
    split_leaf(path, key, value);
  }
  return {};
}

// Splits the (changed) leaf of the path around the new item.
void TreeWriter::split_leaf(Path* path, const Key& key, ConstBytes value) {
  Step& leaf = path->leaf();
  const LeafSequence items{leaf.view(), leaf.index, key, value};
  size_t total = 0;
  for (uint32_t i = 0; i < items.count(); ++i) total += items.bytes(i);
  // Growth at the end: full leaves at the end of the tree, fuller left ones elsewhere.
  size_t target = total / 2;
  if (leaf.index == leaf.view().count()) {
    target = leaf.range.high == Key::end() ? kNodeCapacity : total * 2 / 3;
  }
  const uint32_t middle = split_point(items, target);
  std::unique_ptr<DirtyNode> left = new_node(0);
  std::unique_ptr<DirtyNode> right = new_node(0);
  for (uint32_t i = 0; i < items.count(); ++i) {
    items.append(i < middle ? left->bytes() : right->bytes(), i);
  }
  std::memcpy(leaf.dirty->bytes(), left->bytes(), kBlockBytes);
  free_node(std::move(left));
  const Key right_key = right->view().key(0);
  if (height_ == 1) {
    grow_root(right_key, std::move(right));
  } else {
    const uint32_t parent = height_ - 2;
    insert_child(path, parent, path->steps[parent].index + 1, right_key, std::move(right));
  }
}

// The first child answers for keys below that of its entry. Where such a key is to stand in the
// second entry of the (changed) node at `depth`, the first one is lowered to the true bound.
void TreeWriter::make_room_for_key(Path* path, uint32_t depth, const Key& key) {
  DirtyNode* node = path->steps[depth].dirty;
  if (!(node->view().key(0) < key)) {
    child_set_key(node->bytes(), 0, path->steps[depth].range.low);
  }
}

// Puts a changed child into the (changed) node at `depth`, which is split when it is full.
void TreeWriter::insert_child(Path* path, uint32_t depth, uint32_t index, const Key& key,
                              std::unique_ptr<DirtyNode> child) {
  DirtyNode* node = path->steps[depth].dirty;
  const uint32_t count = node->view().count();
  make_room_for_key(path, depth, key);
  const auto insert = [&](DirtyNode* into, uint32_t at) {
    child_insert(into->bytes(), at, key, NodeAddress());
    into->children.insert(into->children.begin() + at, std::move(child));
  };
  if (count < kChildrenMax) {
    insert(node, index);
    return;
  }
  // The rightmost node of a level stays full when the tree grows at its end.
  const bool at_end = index == count && path->steps[depth].range.high == Key::end();
  const uint32_t middle = at_end ? count - count / 3 : count / 2;
  std::unique_ptr<DirtyNode> right = new_node(node->view().level());
  append_entries(right->bytes(), node->view(), middle, count);
  for (uint32_t i = middle; i < count; ++i) {
    right->children.push_back(std::move(node->children[i]));
  }
  for (uint32_t i = count; i > middle; --i) child_erase(node->bytes(), i - 1);
  node->children.resize(middle);
  if (index > middle) {
    insert(right.get(), index - middle);
  } else {
    insert(node, index);
  }
  const Key right_key = right->view().key(0);
  if (depth == 0) {
    grow_root(right_key, std::move(right));
  } else {
    insert_child(path, depth - 1, path->steps[depth - 1].index + 1, right_key, std::move(right));
  }
}

// A new root over the old one and `right`.
void TreeWriter::grow_root(const Key& right_key, std::unique_ptr<DirtyNode> right) {
  SCALEFS_CHECK(height_ < kTreeHeightMax);
  std::unique_ptr<DirtyNode> root = new_node(height_);
  child_insert(root->bytes(), 0, dirty_root_->view().key(0), NodeAddress());
  child_insert(root->bytes(), 1, right_key, NodeAddress());
  root->children.push_back(std::move(dirty_root_));
  root->children.push_back(std::move(right));
  dirty_root_ = std::move(root);
  ++height_;
}

}  // namespace scalefs::diskfs
