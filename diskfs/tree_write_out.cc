// TreeWriter: giving the changed nodes their blocks and writing them.
#include <algorithm>

#include "base/canary.h"
#include "diskfs/tree_writer_node.h"

namespace scalefs::diskfs {

namespace {
constexpr size_t kWriteBlocksMax = 64;  // in one write: 256 KiB
}  // namespace

// A changed node on its way out, children before parents.
struct TreeWriter::Sealed {
  DirtyNode* node;
  DirtyNode* parent;  // null for the root
  uint32_t index;     // in the parent
  BlockNo block;
};

void TreeWriter::collect(DirtyNode* node, std::vector<Sealed>* order) {
  for (uint32_t i = 0; i < node->children.size(); ++i) {
    DirtyNode* child = node->children[i].get();
    if (!child) continue;
    collect(child, order);
    order->push_back({child, node, i, BlockNo()});
  }
}

Status TreeWriter::place(std::vector<Sealed>* order, const Allocate& allocate,
                         std::vector<BlockRun>* used) {
  size_t placed = 0;
  while (placed < order->size()) {
    if (canary(Canary::freed_block_reused) && !replaced_.empty()) {
      BlockRun& old = replaced_.back();
      (*order)[placed++].block = BlockNo(old.first.v + --old.count);
      if (old.count == 0) replaced_.pop_back();
      continue;
    }
    SCALEFS_TRY(const BlockRun run, allocate(order->size() - placed));
    SCALEFS_CHECK(run.count > 0 && run.count <= order->size() - placed);
    used->push_back(run);
    for (uint64_t i = 0; i < run.count; ++i) {
      (*order)[placed++].block = BlockNo(run.first.v + i);
    }
  }
  return {};
}

Status TreeWriter::write_nodes(std::vector<Sealed>* order, const Write& write,
                               uint64_t generation) {
  auto buffer = AlignedBuffer::unfilled(std::min(order->size(), kWriteBlocksMax) * kBlockBytes);
  size_t gathered = 0;
  BlockNo first;
  const auto flush = [&]() -> Status {
    if (gathered == 0) return {};
    const size_t blocks = std::exchange(gathered, 0);
    return write(first, buffer.span().first(blocks * kBlockBytes));
  };
  for (Sealed& sealed : *order) {
    const NodeAddress address =
        seal_node(sealed.node->bytes(), store_.uuid(), sealed.block, generation);
    if (sealed.parent) {
      child_set_address(sealed.parent->bytes(), sealed.index, address);
    } else {
      root_ = {address.block, address.crc, height_, address.generation};
    }
    if (gathered == kWriteBlocksMax || (gathered > 0 && first.v + gathered != sealed.block.v)) {
      SCALEFS_TRY_VOID(flush());
    }
    if (gathered == 0) first = sealed.block;
    std::memcpy(buffer.block(gathered++).data(), sealed.node->bytes(), kBlockBytes);
  }
  return flush();
}

Result<TreeWriter::WriteOut> TreeWriter::write_out(const Allocate& allocate, const Write& write,
                                                   uint64_t generation) {
  WriteOut out;
  if (dirty_root_) {
    std::vector<Sealed> order;
    order.reserve(dirty_nodes_);
    collect(dirty_root_.get(), &order);
    order.push_back({dirty_root_.get(), nullptr, 0, BlockNo()});
    SCALEFS_CHECK(order.size() == dirty_nodes_);
    SCALEFS_TRY_VOID(place(&order, allocate, &out.used));
    SCALEFS_TRY_VOID(write_nodes(&order, write, generation));
    for (Sealed& sealed : order) {
      store_.insert(std::make_shared<const Node>(std::move(sealed.node->page)));
    }
    out.nodes_written = order.size();
    dirty_root_.reset();
    dirty_nodes_ = 0;
    ++shape_;
  } else if (height_ == 0) {
    root_ = TreeRoot();
  }
  out.root = root_;
  out.replaced = std::move(replaced_);
  replaced_.clear();
  replaced_nodes_ = 0;
  return out;
}

}  // namespace scalefs::diskfs
