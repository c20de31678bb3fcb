// Alters a node of a tree on a device and computes all checksums above it anew, as an attacker would.
#pragma once

#include "diskfs/node_edit.h"
#include "tests/unit/diskfs/tree_test_util.h"

namespace scalefs::diskfs {

// Gives `change` the page of the node reached by `choose` (a child index for each internal node on
// the way; nullopt stops there). Returns the root with its new checksum.
template <class Choose, class Change>
NodeAddress alter_node(MemoryDevice& device, const NodeAddress& address, const Choose& choose,
                       const Change& change) {
  AlignedBuffer page(kBlockBytes);
  EXPECT_TRUE(device.read(address.block, page.span()).ok());
  const NodeView view(page.data());
  const std::optional<uint32_t> index =
      view.is_leaf() ? std::nullopt : std::optional<uint32_t>(choose(view));
  if (index && *index < view.count()) {
    const NodeAddress child = alter_node(device, view.child(*index), choose, change);
    child_set_address(page.data(), *index, child);
  } else {
    change(page.data());
  }
  NodeAddress altered = address;
  altered.crc = node_crc(page.span());
  store_le<uint32_t>(page.data() + node_offset::crc, altered.crc);
  EXPECT_TRUE(device.write(address.block, page.span()).ok());
  return altered;
}

inline NodeAddress root_address(const TreeRoot& root) {
  return {root.block, root.generation, root.crc};
}

}  // namespace scalefs::diskfs
