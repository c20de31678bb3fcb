#include "diskfs/xattr_map.h"

#include <algorithm>

#include "base/log.h"

namespace scalefs::diskfs {

namespace {

Key chunk_key(Ino ino, uint64_t chunk_id, uint64_t index) {
  return Key(ino, ItemType::xattr_chunk, (chunk_id << 8) + index);
}

}  // namespace

Status XattrMap::load(const Key& key, std::vector<XattrRecord>* records) {
  ByteVector value;
  records->clear();
  SCALEFS_TRY(const bool found, tree_.find(key, &value));
  if (!found || decode_xattrs(value, records).ok()) return {};
  log_error("inode {}: an extended attribute does not decode", key.ino);
  return Errno(EUCLEAN);
}

Result<uint64_t> XattrMap::new_chunk_id(Ino ino) {
  TreeWriter::Item last;
  SCALEFS_TRY(const bool found, tree_.floor(Key(ino, ItemType::xattr_chunk, UINT64_MAX),
                                            Key(ino, ItemType::xattr_chunk, 0), &last));
  if (!found) return uint64_t{0};
  const uint64_t id = last.key.offset >> 8;
  if (id == kXattrChunkIdMax) return Errno(EUCLEAN);
  return id + 1;
}

Status XattrMap::put_chunks(Ino ino, uint64_t chunk_id, ConstBytes value) {
  const auto size = static_cast<uint32_t>(value.size());
  const uint32_t chunks = xattr_chunk_count(size);
  for (uint32_t i = 0; i < chunks; ++i) {
    SCALEFS_TRY_VOID(
        tree_.put(chunk_key(ino, chunk_id, i),
                  value.subspan(i * kXattrChunkBytes, xattr_chunk_size(size, i))));
  }
  return erase_chunks(ino, chunk_id, chunks);
}

// Removes the chunks of one value from index `from` on.
Status XattrMap::erase_chunks(Ino ino, uint64_t chunk_id, uint32_t from) {
  const Key end = chunk_id == kXattrChunkIdMax
                      ? Key(ino.v, static_cast<uint8_t>(ItemType::xattr_chunk) + 1, 0)
                      : chunk_key(ino, chunk_id + 1, 0);
  return tree_.erase_range(chunk_key(ino, chunk_id, from), end, nullptr);
}

Status XattrMap::put(Ino ino, std::string_view name, ConstBytes value) {
  if (value.size() > kXattrValueBytesMax) return Errno(EUCLEAN);
  const Key key(ino, ItemType::xattr, tree_.store().xattr_hash(name));
  std::vector<XattrRecord> records;
  SCALEFS_TRY_VOID(load(key, &records));
  auto place = std::find_if(records.begin(), records.end(),
                            [&](const XattrRecord& record) { return record.name >= name; });
  if (place == records.end() || place->name != name) {
    place = records.insert(place, XattrRecord());
    place->name = name;
  }
  const bool was_chunked = place->chunked;
  place->chunked = value.size() > kXattrInlineBytesMax;
  place->value_size = static_cast<uint32_t>(value.size());
  if (place->chunked) {
    place->value.clear();
    if (!was_chunked) {
      SCALEFS_TRY(place->chunk_id, new_chunk_id(ino));
    }
    SCALEFS_TRY_VOID(put_chunks(ino, place->chunk_id, value));
  } else {
    if (was_chunked) SCALEFS_TRY_VOID(erase_chunks(ino, place->chunk_id, 0));
    place->value.assign(value.begin(), value.end());
  }
  ByteVector item;
  encode_xattrs(records, &item);
  if (item.size() > kItemValueMax) return Errno(EOVERFLOW);
  return tree_.put(key, item);
}

Status XattrMap::remove(Ino ino, std::string_view name) {
  const Key key(ino, ItemType::xattr, tree_.store().xattr_hash(name));
  std::vector<XattrRecord> records;
  SCALEFS_TRY_VOID(load(key, &records));
  const auto place =
      std::find_if(records.begin(), records.end(),
                   [&](const XattrRecord& record) { return record.name == name; });
  if (place == records.end()) return {};
  if (place->chunked) SCALEFS_TRY_VOID(erase_chunks(ino, place->chunk_id, 0));
  records.erase(place);
  if (records.empty()) {
    SCALEFS_TRY(const bool erased, tree_.erase(key));
    SCALEFS_CHECK(erased);
    return {};
  }
  ByteVector item;
  encode_xattrs(records, &item);
  return tree_.put(key, item);
}

}  // namespace scalefs::diskfs
