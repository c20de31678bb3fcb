// The values of tree items, encoded and decoded. Decoders take any bytes and answer EUCLEAN for what
// no encoder writes; encoders append to `to`, which the caller cleared. FORMAT.md, "Tree", has the
// layouts.
#pragma once

#include <string_view>
#include <vector>

#include "diskfs/node_format.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

using ByteVector = std::vector<std::byte>;

inline constexpr uint64_t kFilePagesMax = kFileBytesMax / kBlockBytes;
inline constexpr size_t kInodeItemBytes = 112;
inline constexpr size_t kInlineItemBytesMax = 1024;  // content of an inline page kept in the tree
inline constexpr size_t kExtentItemBlocksMax = 128;
inline constexpr size_t kXattrInlineBytesMax = 512;  // larger values go to chunk items
inline constexpr size_t kXattrChunkBytes = 1320;
inline constexpr uint64_t kXattrChunkIdMax = UINT64_MAX >> 8;

void encode_inode(const InodeItem& item, ByteVector* to);
Status decode_inode(ConstBytes from, InodeItem* item);
// What encode_inode may be given: false for attributes that decode_inode would refuse.
bool inode_is_storable(const InodeItem& item);

// Entries in order of name, each name once and valid_dirent_name(); at least one. All share the hash
// in the item's key.
void encode_dirents(const std::vector<Dirent>& entries, ByteVector* to);
Status decode_dirents(uint64_t hash, ConstBytes from, std::vector<Dirent>* entries);

// `mapping.page` is the key's offset. The count of an extent is that of its checksums.
void encode_mapping(const Mapping& mapping, ByteVector* to);
Status decode_mapping(uint64_t page, ConstBytes from, Mapping* mapping);

struct XattrRecord {
  std::string name;
  bool chunked = false;
  uint64_t chunk_id = 0;    // chunked: items (ino, xattr_chunk, chunk_id * 256 + index)
  uint32_t value_size = 0;  // bytes of the value wherever it is
  ByteVector value;         // not chunked
};
// Records in order of name, each name once and valid_xattr_name(); at least one.
void encode_xattrs(const std::vector<XattrRecord>& records, ByteVector* to);
Status decode_xattrs(ConstBytes from, std::vector<XattrRecord>* records);
size_t xattr_record_bytes(const XattrRecord& record);
inline uint32_t xattr_chunk_count(uint32_t value_size) {
  return (value_size + kXattrChunkBytes - 1) / kXattrChunkBytes;
}
// Bytes of chunk `index` of a value of that size.
size_t xattr_chunk_size(uint32_t value_size, uint32_t index);

void encode_mnode_mark(uint64_t counter, ByteVector* to);
Status decode_mnode_mark(ConstBytes from, uint64_t* counter);

}  // namespace scalefs::diskfs
