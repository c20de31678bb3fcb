#include "diskfs/tree_writer.h"

#include "diskfs/tree_writer_node.h"

namespace scalefs::diskfs {

TreeWriter::TreeWriter(NodeStore& store, const TreeRoot& root)
    : store_(store), root_(root), height_(root.height), paths_(std::make_unique<Paths>()) {}

TreeWriter::~TreeWriter() = default;

std::unique_ptr<TreeWriter::DirtyNode> TreeWriter::new_node(uint32_t level) {
  auto node = std::make_unique<DirtyNode>();
  init_node(node->bytes(), level);
  ++dirty_nodes_;
  ++shape_;
  return node;
}

void TreeWriter::free_node(std::unique_ptr<DirtyNode> node) {
  SCALEFS_CHECK(node != nullptr);
  --dirty_nodes_;
  ++shape_;
}

void TreeWriter::forget_clean(BlockNo block) {
  ++replaced_nodes_;
  ++shape_;
  if (!replaced_.empty()) {
    BlockRun& last = replaced_.back();
    if (last.first.v + last.count == block.v) {
      ++last.count;
      return;
    }
  }
  replaced_.push_back({block, 1});
}

Status TreeWriter::load(Path* path, uint32_t depth, DirtyNode* dirty, const NodeAddress& address,
                        const KeyRange& range) {
  Step& step = path->steps[depth];
  step.dirty = dirty;
  step.clean = nullptr;
  step.range = range;
  if (!dirty) {
    SCALEFS_TRY(step.clean, store_.read(address, height_ - 1 - depth, range));
  }
  return {};
}

Status TreeWriter::load_root(Path* path) {
  path->height = height_;
  return load(path, 0, dirty_root_.get(), {root_.block, root_.generation, root_.crc}, KeyRange());
}

// Loads the child that the step at `depth` points to.
Status TreeWriter::load_child(Path* path, uint32_t depth) {
  const Step& step = path->steps[depth];
  const NodeView node = step.view();
  DirtyNode* dirty = step.dirty ? step.dirty->children[step.index].get() : nullptr;
  return load(path, depth + 1, dirty, node.child(step.index),
              node.child_range(step.index, step.range));
}

// To the leaf whose range holds `key`.
Status TreeWriter::descend(const Key& key, Path* path) {
  if (height_ > kTreeHeightMax) return Errno(EUCLEAN);
  path->shape = 0;
  SCALEFS_TRY_VOID(load_root(path));
  for (uint32_t depth = 0; depth + 1 < height_; ++depth) {
    path->steps[depth].index = path->steps[depth].view().child_index(key);
    SCALEFS_TRY_VOID(load_child(path, depth));
  }
  path->shape = shape_;
  return {};
}

// The path to the leaf whose range holds `key`, at the first item that is not below it (count() if none).
Result<TreeWriter::Path*> TreeWriter::at(const Key& key) {
  Path* path = nullptr;
  for (Path& known : paths_->paths) {
    if (known.shape != shape_) continue;
    const KeyRange& range = known.leaf().range;
    if (!(key < range.low) && key < range.high) {
      path = &known;
      break;
    }
  }
  if (path == nullptr) {
    path = &paths_->paths[paths_->next++ % paths_->paths.size()];
    SCALEFS_TRY_VOID(descend(key, path));
  }
  path->leaf().index = path->leaf().view().lower_bound(key);
  return path;
}

// To the first item of the next leaf or the last of the one before; false at the end of the tree.
Result<bool> TreeWriter::step_leaf(Path* path, bool forward) {
  uint32_t depth = height_ - 1;
  path->shape = 0;
  for (;;) {
    if (depth == 0) return false;
    Step& parent = path->steps[--depth];
    if (forward ? parent.index + 1 < parent.view().count() : parent.index > 0) {
      forward ? ++parent.index : --parent.index;
      break;
    }
  }
  for (; depth + 1 < height_; ++depth) {
    SCALEFS_TRY_VOID(load_child(path, depth));
    Step& child = path->steps[depth + 1];
    child.index = forward ? 0 : child.view().count() - 1;
  }
  path->shape = shape_;
  return true;
}

// To the first item with a key >= `key`; null when there is none.
Result<TreeWriter::Path*> TreeWriter::seek(const Key& key) {
  if (height_ == 0) return nullptr;
  SCALEFS_TRY(Path* const path, at(key));
  if (path->leaf().index < path->leaf().view().count()) return path;
  SCALEFS_TRY(const bool more, step_leaf(path, true));
  return more ? path : nullptr;
}

// Every node of the path down to `depth` gets a copy in memory that may be changed.
void TreeWriter::make_dirty(Path* path, uint32_t depth) {
  for (uint32_t d = 0; d <= depth; ++d) {
    Step& step = path->steps[d];
    if (step.dirty) continue;
    const NodeView old = step.clean->view();
    std::unique_ptr<DirtyNode> copy = new_node(old.level());
    std::memcpy(copy->bytes(), old.page(), kBlockBytes);
    if (!old.is_leaf()) copy->children.resize(old.count());
    forget_clean(old.address().block);
    step.dirty = copy.get();
    step.clean = nullptr;
    if (d == 0) {
      dirty_root_ = std::move(copy);
    } else {
      Step& parent = path->steps[d - 1];
      parent.dirty->children[parent.index] = std::move(copy);
    }
  }
  path->shape = shape_;
}

Result<bool> TreeWriter::find(const Key& key, std::vector<std::byte>* value) {
  if (height_ == 0) return false;
  SCALEFS_TRY(const Path* const path, at(key));
  const Step& leaf = path->leaf();
  const NodeView node = leaf.view();
  if (leaf.index >= node.count() || node.key(leaf.index) != key) return false;
  if (value) {
    const ConstBytes bytes = node.value(leaf.index);
    value->assign(bytes.begin(), bytes.end());
  }
  return true;
}

Result<bool> TreeWriter::ceiling(const Key& key, const Key& end, Item* item) {
  SCALEFS_TRY(const Path* const path, seek(key));
  if (path == nullptr) return false;
  const Step& leaf = path->leaf();
  const NodeView node = leaf.view();
  if (!(node.key(leaf.index) < end)) return false;
  item->key = node.key(leaf.index);
  const ConstBytes bytes = node.value(leaf.index);
  item->value.assign(bytes.begin(), bytes.end());
  return true;
}

Result<bool> TreeWriter::floor(const Key& key, const Key& begin, Item* item) {
  if (height_ == 0) return false;
  SCALEFS_TRY(Path* const path, at(key));
  Step& leaf = path->leaf();
  const NodeView node = leaf.view();
  if (leaf.index >= node.count() || node.key(leaf.index) != key) {
    if (leaf.index > 0) {
      --leaf.index;
    } else {
      SCALEFS_TRY(const bool moved, step_leaf(path, false));
      if (!moved) return false;
    }
  }
  const NodeView found = leaf.view();
  if (found.key(leaf.index) < begin) return false;
  item->key = found.key(leaf.index);
  const ConstBytes bytes = found.value(leaf.index);
  item->value.assign(bytes.begin(), bytes.end());
  return true;
}

Status TreeWriter::visit(const Key& from, const Key& to, const ItemVisitor& visitor) {
  SCALEFS_TRY(Path* const path, seek(from));
  for (bool more = path != nullptr; more;) {
    Step& leaf = path->leaf();
    const NodeView node = leaf.view();
    for (; leaf.index < node.count(); ++leaf.index) {
      const Key key = node.key(leaf.index);
      if (!(key < to)) return {};
      SCALEFS_TRY_VOID(visitor(key, node.value(leaf.index)));
    }
    SCALEFS_TRY(more, step_leaf(path, true));
  }
  return {};
}

}  // namespace scalefs::diskfs
