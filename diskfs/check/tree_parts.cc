#include "diskfs/check/tree_parts.h"

#include <algorithm>

namespace scalefs::diskfs {

namespace {

// Enough for as many threads as there are, and none so small that its rim counts.
constexpr size_t kPartsWanted = 64;
constexpr uint32_t kLevelMin = 1;

// The children of the part's node; none when it is damaged.
std::vector<TreePart> children_of(NodeStore& store, const TreePart& part, TreeWalkVisitor& spine) {
  TreeWalkVisitor::NodeInfo info;
  info.block = part.address.block;
  info.parent = part.parent;
  info.level = part.level;
  info.generation = part.address.generation;
  info.range = part.range;
  const NodeRef node = store.read_uncached(part.address, part.level, part.range, &info.fault);
  if (node) info.count = node->view().count();
  std::vector<TreePart> children;
  if (!spine.node(info) || !node) return children;
  const NodeView view = node->view();
  for (uint32_t i = 0; i < view.count(); ++i) {
    children.push_back(
        {view.child(i), part.level - 1, view.child_range(i, part.range), part.address.block});
  }
  return children;
}

}  // namespace

Result<std::vector<TreePart>> split_tree(NodeStore& store, const TreeRoot& root,
                                         TreeWalkVisitor& spine) {
  std::vector<TreePart> parts;
  if (root.height == 0) return parts;
  if (root.height > kTreeHeightMax) return Errno(EUCLEAN);
  parts.push_back({{root.block, root.generation, root.crc}, root.height - 1, KeyRange(), BlockNo()});
  for (uint32_t level = root.height - 1; level > kLevelMin && parts.size() < kPartsWanted; --level) {
    std::vector<TreePart> below;
    for (TreePart& part : parts) {
      std::vector<TreePart> children;
      if (!part.lost) children = children_of(store, part, spine);
      if (children.empty()) {
        part.lost = true;
        below.push_back(part);
      } else {
        below.insert(below.end(), children.begin(), children.end());
      }
    }
    parts = std::move(below);
  }
  return parts;
}

Status walk_part(NodeStore& store, const TreePart& part, TreeWalkVisitor& visitor) {
  if (part.lost) return {};
  return walk_subtree(store, part.address, part.level, part.range, part.parent, visitor);
}

}  // namespace scalefs::diskfs
