#include "diskfs/node_format.h"

#include "base/canary.h"
#include "base/hash.h"
#include "diskfs/batch_format.h"

namespace scalefs::diskfs {

namespace {

const std::byte* leaf_slot(const std::byte* page, uint32_t index) {
  return page + kNodeHeaderBytes + index * kLeafSlotBytes;
}
const std::byte* child_entry(const std::byte* page, uint32_t index) {
  return page + kNodeHeaderBytes + index * kChildEntryBytes;
}
Key load_key(const std::byte* from) {
  return Key(load_le<uint64_t>(from), load_le<uint8_t>(from + 8), load_le<uint64_t>(from + 9));
}

bool key_is_storable(const Key& key) {
  switch (static_cast<ItemType>(key.type)) {
    case ItemType::inode: return key.ino != 0 && key.ino <= kInoMax && key.offset == 0;
    case ItemType::dirent:
    case ItemType::xattr:
    case ItemType::xattr_chunk: return key.ino != 0 && key.ino <= kInoMax;
    case ItemType::mapping:
      return key.ino != 0 && key.ino <= kInoMax && key.offset < kFilePagesMax;
    case ItemType::orphan:
    case ItemType::recycled_ino: return key.ino == 0 && key.offset != 0 && key.offset <= kInoMax;
    case ItemType::mnode_mark: return key.ino == 0 && key.offset < kMnodeSlotsMax;
  }
  return false;
}

// Slots grow from the header, values from the end of the page, both in order of key and without a
// gap between neighbours, so that nothing can overlap.
bool leaf_is_sound(NodeView node, uint32_t count) {
  size_t end = kBlockBytes;
  const size_t slots_end = kNodeHeaderBytes + count * kLeafSlotBytes;
  if (slots_end > kBlockBytes) return false;
  for (uint32_t i = 0; i < count; ++i) {
    const std::byte* slot = leaf_slot(node.page(), i);
    const size_t offset = load_le<uint16_t>(slot + kKeyBytes);
    const size_t length = load_le<uint16_t>(slot + kKeyBytes + 2);
    if (length > kItemValueMax || offset < slots_end || offset + length != end) return false;
    if (!key_is_storable(load_key(slot))) return false;
    end = offset;
  }
  return true;
}

bool children_are_sound(NodeView node, uint32_t count) {
  if (count > kChildrenMax) return false;
  for (uint32_t i = 0; i < count; ++i) {
    const NodeAddress child = node.child(i);
    if (child.block.v == 0 || child.block.v >= kVolumeBlocksMax) return false;
  }
  return true;
}

}  // namespace

NodeAddress NodeView::address() const {
  return {BlockNo(load_le<uint64_t>(page_ + node_offset::block)),
          load_le<uint64_t>(page_ + node_offset::generation),
          load_le<uint32_t>(page_ + node_offset::crc)};
}

Key NodeView::key(uint32_t index) const {
  return load_key(is_leaf() ? leaf_slot(page_, index) : child_entry(page_, index));
}

ConstBytes NodeView::value(uint32_t index) const {
  const std::byte* slot = leaf_slot(page_, index);
  return {page_ + load_le<uint16_t>(slot + kKeyBytes), load_le<uint16_t>(slot + kKeyBytes + 2)};
}

NodeAddress NodeView::child(uint32_t index) const {
  const std::byte* entry = child_entry(page_, index) + kKeyBytes;
  return {BlockNo(load_le<uint64_t>(entry)), load_le<uint64_t>(entry + 8),
          load_le<uint32_t>(entry + 16)};
}

uint32_t NodeView::lower_bound(const Key& key) const {
  uint32_t low = 0, high = count();
  const size_t stride = is_leaf() ? kLeafSlotBytes : kChildEntryBytes;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (load_key(page_ + kNodeHeaderBytes + middle * stride) < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

uint32_t NodeView::child_index(const Key& key) const {
  const uint32_t index = lower_bound(key);
  if (index < count() && this->key(index) == key) return index;
  return index == 0 ? 0 : index - 1;
}

KeyRange NodeView::child_range(uint32_t index, const KeyRange& own) const {
  // The first child answers for everything below the second.
  return {index == 0 ? own.low : key(index), index + 1 < count() ? key(index + 1) : own.high};
}

size_t NodeView::used_bytes() const {
  const uint32_t entries = count();
  if (!is_leaf()) return entries * kChildEntryBytes;
  if (entries == 0) return 0;
  const size_t data = load_le<uint16_t>(leaf_slot(page_, entries - 1) + kKeyBytes);
  return entries * kLeafSlotBytes + (kBlockBytes - data);
}

const char* node_fault_name(NodeFault fault) {
  switch (fault) {
    case NodeFault::none: return "none";
    case NodeFault::io: return "not readable";
    case NodeFault::checksum: return "wrong checksum";
    case NodeFault::magic: return "not a tree node";
    case NodeFault::uuid: return "of another volume";
    case NodeFault::address: return "of another block";
    case NodeFault::generation: return "of another generation";
    case NodeFault::level: return "of another level";
    case NodeFault::structure: return "damaged entries";
    case NodeFault::range: return "keys outside its range";
  }
  return "unknown";
}

uint32_t node_crc(ConstBytes page) {
  return crc32c(page.data() + node_offset::magic, kBlockBytes - node_offset::magic);
}

NodeFault verify_node(ConstBytes page, const uint8_t uuid[16], const NodeAddress& address,
                      uint32_t level, const KeyRange& range, bool check_crc) {
  if (page.size() != kBlockBytes) return NodeFault::structure;
  const NodeView node(page.data());
  if (check_crc && node_crc(page) != address.crc && !canary(Canary::node_checksum_ignored)) {
    return NodeFault::checksum;
  }
  const NodeAddress own = node.address();
  if (own.crc != address.crc) return NodeFault::checksum;
  if (load_le<uint32_t>(page.data() + node_offset::magic) != kNodeMagic) return NodeFault::magic;
  if (std::memcmp(page.data() + node_offset::uuid, uuid, 16) != 0) return NodeFault::uuid;
  if (own.block != address.block) return NodeFault::address;
  if (own.generation != address.generation) return NodeFault::generation;
  if (node.level() != level || level >= kTreeHeightMax) return NodeFault::level;
  if (load_le<uint8_t>(page.data() + node_offset::reserved0) != 0 ||
      load_le<uint32_t>(page.data() + node_offset::reserved1) != 0) {
    return NodeFault::structure;
  }
  const uint32_t count = node.count();
  if (count == 0) return NodeFault::structure;
  if (!(level == 0 ? leaf_is_sound(node, count) : children_are_sound(node, count))) {
    return NodeFault::structure;
  }
  for (uint32_t i = 1; i < count; ++i) {
    if (!(node.key(i - 1) < node.key(i))) return NodeFault::structure;
  }
  if (node.key(0) < range.low || !(node.key(count - 1) < range.high)) return NodeFault::range;
  return NodeFault::none;
}

}  // namespace scalefs::diskfs
