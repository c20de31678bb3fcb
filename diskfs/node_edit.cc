#include "diskfs/node_edit.h"

#include <cstring>

#include "base/check.h"

namespace scalefs::diskfs {

namespace {

std::byte* leaf_slot(std::byte* page, size_t index) {
  return page + kNodeHeaderBytes + index * kLeafSlotBytes;
}
std::byte* child_entry(std::byte* page, size_t index) {
  return page + kNodeHeaderBytes + index * kChildEntryBytes;
}
void set_count(std::byte* page, uint32_t count) {
  store_le<uint16_t>(page + node_offset::count, static_cast<uint16_t>(count));
}
void store_key(std::byte* to, const Key& key) {
  store_le<uint64_t>(to, key.ino);
  store_le<uint8_t>(to + 8, key.type);
  store_le<uint64_t>(to + 9, key.offset);
}
size_t value_offset(const std::byte* slot) { return load_le<uint16_t>(slot + kKeyBytes); }
void store_place(std::byte* slot, size_t offset, size_t length) {
  store_le<uint16_t>(slot + kKeyBytes, static_cast<uint16_t>(offset));
  store_le<uint16_t>(slot + kKeyBytes + 2, static_cast<uint16_t>(length));
}

// Where the values of items with an index below `index` begin; the page's end for 0.
size_t data_start(std::byte* page, uint32_t index) {
  return index == 0 ? kBlockBytes : value_offset(leaf_slot(page, index - 1));
}

// Moves the values of items [index, count) by `delta` bytes and corrects their slots.
void shift_values(std::byte* page, uint32_t index, uint32_t count, ptrdiff_t delta) {
  const size_t low = data_start(page, count);
  const size_t high = data_start(page, index);
  std::memmove(page + low + delta, page + low, high - low);
  for (uint32_t i = index; i < count; ++i) {
    std::byte* slot = leaf_slot(page, i);
    store_le<uint16_t>(slot + kKeyBytes, static_cast<uint16_t>(value_offset(slot) + delta));
  }
}

}  // namespace

void init_node(std::byte* page, uint32_t level) {
  SCALEFS_CHECK(level < kTreeHeightMax);
  std::memset(page, 0, kBlockBytes);
  store_le<uint32_t>(page + node_offset::magic, kNodeMagic);
  store_le<uint8_t>(page + node_offset::level, static_cast<uint8_t>(level));
}

bool leaf_fits(const std::byte* page, size_t value_bytes) {
  return NodeView(page).used_bytes() + leaf_item_bytes(value_bytes) <= kNodeCapacity;
}

void leaf_insert(std::byte* page, uint32_t index, const Key& key, ConstBytes value) {
  const NodeView node(page);
  const uint32_t count = node.count();
  SCALEFS_CHECK(node.is_leaf() && index <= count && value.size() <= kItemValueMax);
  SCALEFS_CHECK(leaf_fits(page, value.size()));
  const size_t end = data_start(page, index);
  shift_values(page, index, count, -static_cast<ptrdiff_t>(value.size()));
  std::byte* slot = leaf_slot(page, index);
  std::memmove(slot + kLeafSlotBytes, slot, (count - index) * kLeafSlotBytes);
  store_key(slot, key);
  store_place(slot, end - value.size(), value.size());
  if (!value.empty()) std::memcpy(page + end - value.size(), value.data(), value.size());
  set_count(page, count + 1);
}

void leaf_erase(std::byte* page, uint32_t from, uint32_t to) {
  const NodeView node(page);
  const uint32_t count = node.count();
  SCALEFS_CHECK(node.is_leaf() && from <= to && to <= count);
  if (from == to) return;
  const size_t gap = data_start(page, from) - data_start(page, to);
  const size_t old_low = data_start(page, count);
  shift_values(page, to, count, static_cast<ptrdiff_t>(gap));
  std::memmove(leaf_slot(page, from), leaf_slot(page, to), (count - to) * kLeafSlotBytes);
  std::memset(leaf_slot(page, count - (to - from)), 0, (to - from) * kLeafSlotBytes);
  std::memset(page + old_low, 0, gap);
  set_count(page, count - (to - from));
}

bool leaf_replace(std::byte* page, uint32_t index, ConstBytes value) {
  const NodeView node(page);
  SCALEFS_CHECK(node.is_leaf() && index < node.count() && value.size() <= kItemValueMax);
  const size_t old_size = node.value(index).size();
  if (node.used_bytes() - old_size + value.size() > kNodeCapacity) return false;
  if (old_size == value.size()) {
    if (!value.empty()) {
      std::memcpy(page + value_offset(leaf_slot(page, index)), value.data(), value.size());
    }
    return true;
  }
  const Key key = node.key(index);
  leaf_erase(page, index, index + 1);
  leaf_insert(page, index, key, value);
  return true;
}

void child_insert(std::byte* page, uint32_t index, const Key& key, const NodeAddress& child) {
  const NodeView node(page);
  const uint32_t count = node.count();
  SCALEFS_CHECK(!node.is_leaf() && index <= count && count < kChildrenMax);
  std::byte* entry = child_entry(page, index);
  std::memmove(entry + kChildEntryBytes, entry, (count - index) * kChildEntryBytes);
  set_count(page, count + 1);
  child_set_key(page, index, key);
  child_set_address(page, index, child);
}

void child_erase(std::byte* page, uint32_t index) {
  const NodeView node(page);
  const uint32_t count = node.count();
  SCALEFS_CHECK(!node.is_leaf() && index < count);
  std::byte* entry = child_entry(page, index);
  std::memmove(entry, entry + kChildEntryBytes, (count - index - 1) * kChildEntryBytes);
  std::memset(child_entry(page, count - 1), 0, kChildEntryBytes);
  set_count(page, count - 1);
}

void child_set_key(std::byte* page, uint32_t index, const Key& key) {
  SCALEFS_CHECK(index < NodeView(page).count());
  store_key(child_entry(page, index), key);
}

void child_set_address(std::byte* page, uint32_t index, const NodeAddress& child) {
  SCALEFS_CHECK(index < NodeView(page).count());
  std::byte* entry = child_entry(page, index) + kKeyBytes;
  store_le<uint64_t>(entry, child.block.v);
  store_le<uint64_t>(entry + 8, child.generation);
  store_le<uint32_t>(entry + 16, child.crc);
}

void append_entries(std::byte* page, NodeView source, uint32_t from, uint32_t to) {
  const NodeView node(page);
  SCALEFS_CHECK(node.level() == source.level() && from <= to && to <= source.count());
  for (uint32_t i = from; i < to; ++i) {
    if (node.is_leaf()) {
      leaf_insert(page, node.count(), source.key(i), source.value(i));
    } else {
      child_insert(page, node.count(), source.key(i), source.child(i));
    }
  }
}

NodeAddress seal_node(std::byte* page, const uint8_t uuid[16], BlockNo block,
                      uint64_t generation) {
  std::memcpy(page + node_offset::uuid, uuid, 16);
  store_le<uint64_t>(page + node_offset::block, block.v);
  store_le<uint64_t>(page + node_offset::generation, generation);
  const uint32_t crc = node_crc(ConstBytes(page, kBlockBytes));
  store_le<uint32_t>(page + node_offset::crc, crc);
  return {block, generation, crc};
}

}  // namespace scalefs::diskfs
