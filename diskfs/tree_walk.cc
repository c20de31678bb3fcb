#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

class Walk {
 public:
  Walk(NodeStore& store, TreeWalkVisitor& visitor) : store_(store), visitor_(visitor) {}

  Status node(const NodeAddress& address, uint32_t level, const KeyRange& range, BlockNo parent) {
    TreeWalkVisitor::NodeInfo info;
    info.block = address.block;
    info.parent = parent;
    info.level = level;
    info.generation = address.generation;
    info.range = range;
    const NodeRef ref = store_.read_uncached(address, level, range, &info.fault);
    if (ref) info.count = ref->view().count();
    if (!visitor_.node(info) || !ref) return {};
    const NodeView view = ref->view();
    for (uint32_t i = 0; i < view.count(); ++i) {
      if (view.is_leaf()) {
        if (!visitor_.item(view.key(i), view.value(i), address.block)) return Errno(ECANCELED);
      } else {
        SCALEFS_TRY_VOID(node(view.child(i), level - 1, view.child_range(i, range), address.block));
      }
    }
    return {};
  }

 private:
  NodeStore& store_;
  TreeWalkVisitor& visitor_;
};

}  // namespace

Status walk_tree(NodeStore& store, const TreeRoot& root, TreeWalkVisitor& visitor) {
  if (root.height == 0) return {};
  if (root.height > kTreeHeightMax) return Errno(EUCLEAN);
  return walk_subtree(store, {root.block, root.generation, root.crc}, root.height - 1, KeyRange(),
                      BlockNo(), visitor);
}

Status walk_subtree(NodeStore& store, const NodeAddress& address, uint32_t level,
                    const KeyRange& range, BlockNo parent, TreeWalkVisitor& visitor) {
  return Walk(store, visitor).node(address, level, range, parent);
}

}  // namespace scalefs::diskfs
