// What the parts of TreeWriter share: a changed node in memory and a path from the root to a leaf.
#pragma once

#include "base/memory.h"
#include "diskfs/node_edit.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

// A node that this checkpoint changed or made. `children` runs beside the entries of an internal
// node; null where the child is unchanged. The address in the entry of a changed child is stale
// until write_out.
struct TreeWriter::DirtyNode {
  static constexpr int64_t kBytes = kBlockBytes + 128;

  DirtyNode() : page(kBlockBytes) { memory_count(MemoryClass::tree_node, kBytes); }
  ~DirtyNode() { memory_count(MemoryClass::tree_node, -kBytes); }
  DirtyNode(const DirtyNode&) = delete;
  DirtyNode& operator=(const DirtyNode&) = delete;

  std::byte* bytes() { return page.data(); }
  NodeView view() const { return NodeView(page.data()); }

  AlignedBuffer page;
  std::vector<std::unique_ptr<DirtyNode>> children;
};

// Exactly one of `dirty` and `clean` is set. `index` is that of the child on the path, or of the
// item in the leaf.
struct TreeWriter::Step {
  DirtyNode* dirty = nullptr;
  NodeRef clean;
  uint32_t index = 0;
  KeyRange range;

  NodeView view() const { return dirty ? dirty->view() : clean->view(); }
};

// steps[0] is the root, steps[height - 1] the leaf. Good while the tree has the shape that it had when the path was
// gone: no node has been copied, made or dropped since.
struct TreeWriter::Path {
  std::array<Step, kTreeHeightMax> steps;
  uint32_t height = 0;
  uint64_t shape = 0;

  Step& leaf() { return steps[height - 1]; }
  const Step& leaf() const { return steps[height - 1]; }
};

// The last paths. Operations of one batch go back and forth between a few leaves: inodes and their pages, a directory, lists
// of numbers.
struct TreeWriter::Paths {
  std::array<Path, 4> paths;
  size_t next = 0;
};

}  // namespace scalefs::diskfs
