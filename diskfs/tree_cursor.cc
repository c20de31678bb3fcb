#include "diskfs/tree_cursor.h"

namespace scalefs::diskfs {

Status TreeCursor::load(uint32_t depth, const NodeAddress& address, const KeyRange& range) {
  Step& step = steps_[depth];
  // The same node for the same range was already checked; for another range it must be again.
  if (step.node && step.node->view().address() == address && step.range.low == range.low &&
      step.range.high == range.high) {
    return {};
  }
  step.node = nullptr;
  SCALEFS_TRY(step.node, store_->read(address, root_.height - 1 - depth, range));
  step.range = range;
  return {};
}

Status TreeCursor::descend(const Key& key) {
  valid_ = false;
  if (root_.height == 0) return {};
  if (root_.height > kTreeHeightMax) return Errno(EUCLEAN);
  SCALEFS_TRY_VOID(load(0, {root_.block, root_.generation, root_.crc}, KeyRange()));
  for (uint32_t depth = 0; depth + 1 < root_.height; ++depth) {
    Step& step = steps_[depth];
    const NodeView node = step.node->view();
    step.index = node.child_index(key);
    SCALEFS_TRY_VOID(
        load(depth + 1, node.child(step.index), node.child_range(step.index, step.range)));
  }
  return {};
}

// To the first item of the next leaf or the last one of the leaf before.
Status TreeCursor::step_leaf(bool forward) {
  valid_ = false;
  uint32_t depth = root_.height - 1;
  for (;;) {
    if (depth == 0) return {};
    Step& parent = steps_[--depth];
    if (forward ? parent.index + 1 < parent.node->view().count() : parent.index > 0) {
      forward ? ++parent.index : --parent.index;
      break;
    }
  }
  for (; depth + 1 < root_.height; ++depth) {
    Step& step = steps_[depth];
    const NodeView node = step.node->view();
    SCALEFS_TRY_VOID(
        load(depth + 1, node.child(step.index), node.child_range(step.index, step.range)));
    const NodeView child = steps_[depth + 1].node->view();
    steps_[depth + 1].index = forward ? 0 : child.count() - 1;
  }
  valid_ = true;
  return {};
}

Status TreeCursor::lower_bound(const Key& key) {
  SCALEFS_TRY_VOID(descend(key));
  if (root_.height == 0) return {};
  Step& step = steps_[root_.height - 1];
  step.index = step.node->view().lower_bound(key);
  if (step.index == step.node->view().count()) return step_leaf(true);
  valid_ = true;
  return {};
}

Status TreeCursor::floor(const Key& key) {
  SCALEFS_TRY_VOID(descend(key));
  if (root_.height == 0) return {};
  Step& step = steps_[root_.height - 1];
  const NodeView node = step.node->view();
  step.index = node.lower_bound(key);
  if (step.index < node.count() && node.key(step.index) == key) {
    valid_ = true;
  } else if (step.index > 0) {
    --step.index;
    valid_ = true;
  } else {
    return step_leaf(false);
  }
  return {};
}

Status TreeCursor::next() {
  Step& step = steps_[root_.height - 1];
  if (++step.index < step.node->view().count()) return {};
  return step_leaf(true);
}

}  // namespace scalefs::diskfs
