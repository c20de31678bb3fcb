// Changes a node page in memory. The page is one that init_node() made or verify_node() accepted;
// indexes and sizes are the caller's duty (checked: a violation stops the program).
#pragma once

#include "diskfs/node_format.h"

namespace scalefs::diskfs {

// An empty node of that level; uuid, address and crc are filled in by seal_node.
void init_node(std::byte* page, uint32_t level);

inline size_t leaf_item_bytes(size_t value_bytes) { return kLeafSlotBytes + value_bytes; }
// Leaf: does one more item with a value of that size fit?
bool leaf_fits(const std::byte* page, size_t value_bytes);
void leaf_insert(std::byte* page, uint32_t index, const Key& key, ConstBytes value);
// Removes the items [from, to).
void leaf_erase(std::byte* page, uint32_t from, uint32_t to);
// Same key, new value; false (and no change) when it does not fit.
bool leaf_replace(std::byte* page, uint32_t index, ConstBytes value);

void child_insert(std::byte* page, uint32_t index, const Key& key, const NodeAddress& child);
void child_erase(std::byte* page, uint32_t index);
void child_set_key(std::byte* page, uint32_t index, const Key& key);
void child_set_address(std::byte* page, uint32_t index, const NodeAddress& child);

// Appends entries [from, to) of `source` to `page`; same level, and they fit.
void append_entries(std::byte* page, NodeView source, uint32_t from, uint32_t to);

// Fills in the identity and the checksum; the page is then what verify_node() accepts at `block`.
NodeAddress seal_node(std::byte* page, const uint8_t uuid[16], BlockNo block, uint64_t generation);

}  // namespace scalefs::diskfs
