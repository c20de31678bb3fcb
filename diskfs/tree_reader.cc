#include "diskfs/tree_reader.h"

#include "diskfs/batch_format.h"
#include "diskfs/items.h"
#include "diskfs/tree_cursor.h"

namespace scalefs::diskfs {

namespace {

Errno damaged(NodeStore& store, const TreeCursor& cursor, const char* what) {
  store.report_damage(cursor.block(), cursor.key().ino, what);
  return Errno(EUCLEAN);
}

// To the item of exactly that key; false when there is none.
Result<bool> find(TreeCursor& cursor, const Key& key) {
  SCALEFS_TRY_VOID(cursor.lower_bound(key));
  return cursor.valid() && cursor.key() == key;
}

bool in_list(const TreeCursor& cursor, Ino ino, ItemType type) {
  if (!cursor.valid()) return false;
  const Key key = cursor.key();
  return key.ino == ino.v && key.type == static_cast<uint8_t>(type);
}

// Cuts a mapping to the pages [from, to); it meets them.
void cut(Mapping* mapping, uint64_t from, uint64_t to) {
  const uint64_t end = mapping->page + mapping->count;
  const uint64_t front = mapping->page < from ? from - mapping->page : 0;
  const uint64_t back = end > to ? end - to : 0;
  mapping->page += front;
  mapping->count -= front + back;
  if (mapping->kind == Mapping::Kind::extent) {
    mapping->block.v += front;
    mapping->crcs.erase(mapping->crcs.begin(),
                        mapping->crcs.begin() + static_cast<ptrdiff_t>(front));
    mapping->crcs.resize(mapping->count);
  }
}

// The value of a record, wherever it is.
Result<std::vector<std::byte>> xattr_value(NodeStore& store, const TreeRoot& root, Ino ino,
                                           XattrRecord& record) {
  if (!record.chunked) return std::move(record.value);
  std::vector<std::byte> value;
  value.reserve(record.value_size);
  TreeCursor cursor(store, root);
  const uint32_t chunks = xattr_chunk_count(record.value_size);
  for (uint32_t i = 0; i < chunks; ++i) {
    const Key key(ino, ItemType::xattr_chunk, (record.chunk_id << 8) + i);
    if (i == 0) {
      SCALEFS_TRY_VOID(cursor.lower_bound(key));
    } else {
      SCALEFS_TRY_VOID(cursor.next());
    }
    if (!cursor.valid()) return Errno(EUCLEAN);
    if (cursor.key() != key || cursor.value().size() != xattr_chunk_size(record.value_size, i)) {
      return damaged(store, cursor, "a part of an extended attribute is missing");
    }
    value.insert(value.end(), cursor.value().begin(), cursor.value().end());
  }
  return value;
}

Result<std::vector<Ino>> list_numbers(NodeStore& store, const TreeRoot& root, ItemType type,
                                      Ino from, size_t count) {
  std::vector<Ino> numbers;
  if (count == 0) return numbers;
  TreeCursor cursor(store, root);
  SCALEFS_TRY_VOID(cursor.lower_bound(Key(Ino(), type, from.v)));
  while (in_list(cursor, Ino(), type) && numbers.size() < count) {
    numbers.push_back(Ino(cursor.key().offset));
    SCALEFS_TRY_VOID(cursor.next());
  }
  return numbers;
}

}  // namespace

Result<InodeItem> TreeReader::inode(Ino ino) const {
  TreeCursor cursor(*store_, root_);
  SCALEFS_TRY(const bool found, find(cursor, Key(ino, ItemType::inode, 0)));
  if (!found) return Errno(ENOENT);
  InodeItem item;
  if (!decode_inode(cursor.value(), &item).ok()) {
    return damaged(*store_, cursor, "an inode does not decode");
  }
  return item;
}

Result<std::vector<Dirent>> TreeReader::dirents(Ino dir, uint64_t hash) const {
  TreeCursor cursor(*store_, root_);
  std::vector<Dirent> entries;
  SCALEFS_TRY(const bool found, find(cursor, Key(dir, ItemType::dirent, hash)));
  if (found && !decode_dirents(hash, cursor.value(), &entries).ok()) {
    return damaged(*store_, cursor, "a directory entry does not decode");
  }
  return entries;
}

Result<TreeReader::DirRange> TreeReader::list(Ino dir, uint64_t from, size_t count) const {
  DirRange range;
  TreeCursor cursor(*store_, root_);
  SCALEFS_TRY_VOID(cursor.lower_bound(Key(dir, ItemType::dirent, from)));
  std::vector<Dirent> entries;
  while (in_list(cursor, dir, ItemType::dirent)) {
    const uint64_t hash = cursor.key().offset;
    if (range.entries.size() >= count) {
      range.next = hash;
      break;
    }
    if (!decode_dirents(hash, cursor.value(), &entries).ok()) {
      return damaged(*store_, cursor, "a directory entry does not decode");
    }
    for (Dirent& entry : entries) range.entries.push_back(std::move(entry));
    SCALEFS_TRY_VOID(cursor.next());
  }
  return range;
}

Result<std::vector<Mapping>> TreeReader::map(Ino ino, uint64_t page, uint64_t count,
                                             size_t mappings_max) const {
  std::vector<Mapping> mappings;
  if (page >= kFilePagesMax || count == 0) return mappings;
  const uint64_t end = page + std::min(count, kFilePagesMax - page);
  TreeCursor cursor(*store_, root_);
  // The mapping that begins before `page` may reach into the range.
  SCALEFS_TRY_VOID(cursor.floor(Key(ino, ItemType::mapping, page)));
  if (!in_list(cursor, ino, ItemType::mapping)) {
    SCALEFS_TRY_VOID(cursor.lower_bound(Key(ino, ItemType::mapping, page)));
  }
  uint64_t last_end = 0;
  for (; in_list(cursor, ino, ItemType::mapping) && cursor.key().offset < end; ) {
    Mapping mapping;
    if (!decode_mapping(cursor.key().offset, cursor.value(), &mapping).ok() ||
        mapping.page < last_end) {
      return damaged(*store_, cursor, "a mapping of file pages does not decode");
    }
    if (mapping.kind == Mapping::Kind::extent &&
        mapping.block.v + mapping.count > store_->device_blocks()) {
      return damaged(*store_, cursor, "an extent lies outside the device");
    }
    last_end = mapping.page + mapping.count;
    if (last_end > page) {
      cut(&mapping, page, end);
      mappings.push_back(std::move(mapping));
      if (mappings.size() == mappings_max) break;
    }
    SCALEFS_TRY_VOID(cursor.next());
  }
  return mappings;
}

Result<std::vector<std::byte>> TreeReader::xattr(Ino ino, std::string_view name) const {
  TreeCursor cursor(*store_, root_);
  SCALEFS_TRY(const bool found,
              find(cursor, Key(ino, ItemType::xattr, store_->xattr_hash(name))));
  if (!found) return Errno(ENODATA);
  std::vector<XattrRecord> records;
  if (!decode_xattrs(cursor.value(), &records).ok()) {
    return damaged(*store_, cursor, "an extended attribute does not decode");
  }
  for (XattrRecord& record : records) {
    if (record.name == name) return xattr_value(*store_, root_, ino, record);
  }
  return Errno(ENODATA);
}

Result<std::vector<XattrEntry>> TreeReader::xattrs(Ino ino) const {
  std::vector<XattrEntry> entries;
  TreeCursor cursor(*store_, root_);
  SCALEFS_TRY_VOID(cursor.lower_bound(Key(ino, ItemType::xattr, 0)));
  std::vector<XattrRecord> records;
  while (in_list(cursor, ino, ItemType::xattr)) {
    if (!decode_xattrs(cursor.value(), &records).ok()) {
      return damaged(*store_, cursor, "an extended attribute does not decode");
    }
    for (XattrRecord& record : records) {
      SCALEFS_TRY(auto value, xattr_value(*store_, root_, ino, record));
      entries.push_back({std::move(record.name), std::move(value)});
    }
    SCALEFS_TRY_VOID(cursor.next());
  }
  return entries;
}

Result<std::vector<Ino>> TreeReader::orphans(Ino from, size_t count) const {
  return list_numbers(*store_, root_, ItemType::orphan, from, count);
}

Result<std::vector<Ino>> TreeReader::free_inos(Ino from, size_t count) const {
  return list_numbers(*store_, root_, ItemType::recycled_ino, from, count);
}

Result<std::vector<std::pair<uint32_t, uint64_t>>> TreeReader::mnode_marks() const {
  std::vector<std::pair<uint32_t, uint64_t>> marks;
  TreeCursor cursor(*store_, root_);
  SCALEFS_TRY_VOID(cursor.lower_bound(Key(Ino(), ItemType::mnode_mark, 0)));
  while (in_list(cursor, Ino(), ItemType::mnode_mark)) {
    uint64_t counter = 0;
    if (!decode_mnode_mark(cursor.value(), &counter).ok()) {
      return damaged(*store_, cursor, "a mnode mark does not decode");
    }
    marks.emplace_back(static_cast<uint32_t>(cursor.key().offset), counter);
    SCALEFS_TRY_VOID(cursor.next());
  }
  return marks;
}

}  // namespace scalefs::diskfs
