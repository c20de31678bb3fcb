// The nodes of the tree: 4 KiB blocks of sorted items (leaf, level 0) or of sorted references to
// children (levels 1 and up). FORMAT.md, "Tree", has every byte.
//
// NodeView reads a page that verify_node() accepted; on any other bytes its results are undefined.
// Nothing here owns memory or takes locks.
#pragma once

#include <compare>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

// Numbers of the format. Global items stand under ino 0, the others under the inode's number.
enum class ItemType : uint8_t {
  inode = 1,         // offset 0
  dirent = 2,        // offset: hash of the name; all entries of that hash
  mapping = 3,       // offset: first page; an extent, an unwritten range or an inline page
  xattr = 4,         // offset: hash of the name; all attributes of that hash
  xattr_chunk = 5,   // offset: chunk id * 256 + index
  orphan = 16,       // offset: inode number
  recycled_ino = 17, // offset: inode number
  mnode_mark = 18,   // offset: core slot
};

struct Key {
  uint64_t ino = 0;
  uint8_t type = 0;
  uint64_t offset = 0;

  Key() = default;
  Key(uint64_t ino_number, uint8_t type_number, uint64_t key_offset)
      : ino(ino_number), type(type_number), offset(key_offset) {}
  Key(Ino owner, ItemType item_type, uint64_t key_offset)
      : ino(owner.v), type(static_cast<uint8_t>(item_type)), offset(key_offset) {}
  // Greater than every key that an item can have.
  static Key end() { return Key(UINT64_MAX, 255, UINT64_MAX); }
  friend auto operator<=>(const Key&, const Key&) = default;
};

// The keys a node may hold: low <= key < high.
struct KeyRange {
  Key low;
  Key high = Key::end();
};

// How a parent (or the superblock) names a node: where it is and what must be found there.
struct NodeAddress {
  BlockNo block;
  uint64_t generation = 0;
  uint32_t crc = 0;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

inline constexpr uint32_t kNodeMagic = 0x4e544653;  // "SFTN"
inline constexpr uint32_t kTreeHeightMax = 12;
inline constexpr size_t kNodeHeaderBytes = 48;
inline constexpr size_t kNodeCapacity = kBlockBytes - kNodeHeaderBytes;
inline constexpr size_t kKeyBytes = 17;  // inode 8, type 1, offset 8
inline constexpr size_t kLeafSlotBytes = kKeyBytes + 4;     // value offset 2, value length 2
inline constexpr size_t kChildEntryBytes = kKeyBytes + 20;  // block 8, generation 8, crc 4
inline constexpr size_t kChildrenMax = kNodeCapacity / kChildEntryBytes;
// Two items of the largest size fit in a leaf, so that one insertion splits a leaf into two at most.
inline constexpr size_t kItemValueMax = kNodeCapacity / 2 - kLeafSlotBytes;

namespace node_offset {
inline constexpr size_t crc = 0, magic = 4, level = 8, reserved0 = 9, count = 10, reserved1 = 12,
                        uuid = 16, block = 32, generation = 40;
}  // namespace node_offset

// Reads a verified page of kBlockBytes. Valid as long as the page is.
class NodeView {
 public:
  explicit NodeView(const std::byte* page) : page_(page) {}

  uint32_t level() const { return static_cast<uint8_t>(page_[node_offset::level]); }
  bool is_leaf() const { return level() == 0; }
  uint32_t count() const { return load_le<uint16_t>(page_ + node_offset::count); }
  NodeAddress address() const;

  Key key(uint32_t index) const;
  // Leaf only.
  ConstBytes value(uint32_t index) const;
  // Internal only.
  NodeAddress child(uint32_t index) const;

  // Index of the first entry with key >= `key`; count() when there is none.
  uint32_t lower_bound(const Key& key) const;
  // Internal only: the child whose range holds `key` (the first one when key is below all).
  uint32_t child_index(const Key& key) const;
  // Internal only: the range of a child, given this node's own.
  KeyRange child_range(uint32_t index, const KeyRange& own) const;
  // Bytes taken by entries, of kNodeCapacity.
  size_t used_bytes() const;
  const std::byte* page() const { return page_; }

 private:
  const std::byte* page_;
};

// What is wrong with a node; `none` when it may be used.
enum class NodeFault : uint8_t {
  none, io, checksum, magic, uuid, address, generation, level, structure, range
};
const char* node_fault_name(NodeFault fault);

// Checks a page of any bytes: that it is the node which `address`, `level` and `range` promise, and
// that every entry lies inside it, in order, without overlap. Values of items are not looked into
// (items.h does). The caller compares the checksum of the page with address.crc first if
// `check_crc` is false.
NodeFault verify_node(ConstBytes page, const uint8_t uuid[16], const NodeAddress& address,
                      uint32_t level, const KeyRange& range, bool check_crc = true);
// CRC32C of a page as it is stored in its header and in its parent.
uint32_t node_crc(ConstBytes page);

}  // namespace scalefs::diskfs
