#include "diskfs/file_map.h"

#include "base/log.h"

namespace scalefs::diskfs {

namespace {

Key mapping_key(Ino ino, uint64_t page) { return Key(ino, ItemType::mapping, page); }
uint64_t end_of(const Mapping& mapping) { return mapping.page + mapping.count; }

Status decode(const Key& key, ConstBytes value, Mapping* mapping) {
  if (decode_mapping(key.offset, value, mapping).ok()) return {};
  log_error("inode {}: the mapping of page {} does not decode", key.ino, key.offset);
  return Errno(EUCLEAN);
}

// The part of a mapping in [from, to), which lies inside it.
Mapping slice(const Mapping& mapping, uint64_t from, uint64_t to) {
  Mapping part;
  part.kind = mapping.kind;
  part.page = from;
  part.count = to - from;
  if (mapping.kind == Mapping::Kind::extent) {
    const auto skip = static_cast<ptrdiff_t>(from - mapping.page);
    part.block = BlockNo(mapping.block.v + (from - mapping.page));
    part.crcs.assign(mapping.crcs.begin() + skip,
                     mapping.crcs.begin() + skip + static_cast<ptrdiff_t>(part.count));
  } else if (mapping.kind == Mapping::Kind::inline_data) {
    part.bytes = mapping.bytes;
  }
  return part;
}

// Whether `right`, which begins where `left` ends, can be one item with it.
bool continues(const Mapping& left, const Mapping& right) {
  if (left.kind != right.kind || end_of(left) != right.page) return false;
  if (left.kind == Mapping::Kind::unwritten) return true;
  return left.kind == Mapping::Kind::extent && left.block.v + left.count == right.block.v &&
         left.count + right.count <= kExtentItemBlocksMax;
}

void append(Mapping* left, const Mapping& right) {
  left->count += right.count;
  left->crcs.insert(left->crcs.end(), right.crcs.begin(), right.crcs.end());
}

}  // namespace

Result<bool> FileMap::next(Ino ino, uint64_t page, Mapping* mapping) {
  TreeWriter::Item item;
  SCALEFS_TRY(const bool before,
              tree_.floor(mapping_key(ino, page), mapping_key(ino, 0), &item));
  if (before) {
    SCALEFS_TRY_VOID(decode(item.key, item.value, mapping));
    if (end_of(*mapping) > page) return true;
  }
  SCALEFS_TRY(const bool behind,
              tree_.ceiling(mapping_key(ino, page), mapping_key(ino, kFilePagesMax), &item));
  if (behind) SCALEFS_TRY_VOID(decode(item.key, item.value, mapping));
  return behind;
}

Status FileMap::store(Ino ino, const Mapping& mapping) {
  ByteVector value;
  encode_mapping(mapping, &value);
  return tree_.put(mapping_key(ino, mapping.page), value);
}

Status FileMap::release(const Mapping& mapping, Incoming* incoming) {
  if (mapping.kind != Mapping::Kind::extent || mapping.count == 0) return {};
  if (incoming && mapping.block.v - incoming->first.v == mapping.page - incoming->page) {
    for (uint64_t i = 0; i < mapping.count; ++i) {
      incoming->mapped.set(mapping.page - incoming->page + i);
    }
    return {};
  }
  return sink_.unreferenced({mapping.block, mapping.count});
}

Status FileMap::release_item(const Key& key, ConstBytes value) {
  Mapping mapping;
  SCALEFS_TRY_VOID(decode(key, value, &mapping));
  return release(mapping, nullptr);
}

Result<uint64_t> FileMap::remove(Ino ino, uint64_t from, uint64_t to, Incoming* incoming) {
  uint64_t removed = 0;
  TreeWriter::Item item;
  Mapping mapping;
  SCALEFS_TRY(const bool before,
              tree_.floor(mapping_key(ino, from), mapping_key(ino, 0), &item));
  if (before) SCALEFS_TRY_VOID(decode(item.key, item.value, &mapping));
  if (before && mapping.page < from && end_of(mapping) > from) {
    const uint64_t cut_end = std::min(end_of(mapping), to);
    SCALEFS_TRY_VOID(release(slice(mapping, from, cut_end), incoming));
    removed += cut_end - from;
    SCALEFS_TRY_VOID(store(ino, slice(mapping, mapping.page, from)));
    if (end_of(mapping) > to) {
      SCALEFS_TRY_VOID(store(ino, slice(mapping, to, end_of(mapping))));
      return removed;
    }
  }
  Mapping rest;
  const auto drop = [&](const Key& key, ConstBytes value) -> Status {
    SCALEFS_TRY_VOID(decode(key, value, &mapping));
    const uint64_t cut_end = std::min(end_of(mapping), to);
    SCALEFS_TRY_VOID(release(slice(mapping, mapping.page, cut_end), incoming));
    removed += cut_end - mapping.page;
    if (end_of(mapping) > to) rest = slice(mapping, to, end_of(mapping));
    return {};
  };
  SCALEFS_TRY_VOID(tree_.erase_range(mapping_key(ino, from), mapping_key(ino, to), drop));
  if (rest.count > 0) SCALEFS_TRY_VOID(store(ino, rest));
  return removed;
}

// Takes a neighbour that ends where `mapping` begins into it; the item itself is replaced later,
// because it has the key under which the joined one is stored.
Status FileMap::join_left(Ino ino, Mapping* mapping) {
  if (mapping->page == 0) return {};
  TreeWriter::Item item;
  SCALEFS_TRY(const bool found,
              tree_.floor(mapping_key(ino, mapping->page - 1), mapping_key(ino, 0), &item));
  if (!found) return {};
  Mapping left;
  SCALEFS_TRY_VOID(decode(item.key, item.value, &left));
  if (!continues(left, *mapping)) return {};
  append(&left, *mapping);
  *mapping = std::move(left);
  return {};
}

Status FileMap::join_right(Ino ino, Mapping* mapping) {
  if (end_of(*mapping) >= kFilePagesMax) return {};
  const Key key = mapping_key(ino, end_of(*mapping));
  TreeWriter::Item item;
  SCALEFS_TRY(const bool found, tree_.find(key, &item.value));
  if (!found) return {};
  Mapping right;
  SCALEFS_TRY_VOID(decode(key, item.value, &right));
  if (!continues(*mapping, right)) return {};
  append(mapping, right);
  SCALEFS_TRY(const bool erased, tree_.erase(key));
  SCALEFS_CHECK(erased);
  return {};
}

Status FileMap::insert(Ino ino, Mapping mapping) {
  if (mapping.kind != Mapping::Kind::inline_data) {
    SCALEFS_TRY_VOID(join_left(ino, &mapping));
    SCALEFS_TRY_VOID(join_right(ino, &mapping));
  }
  return store(ino, mapping);
}

}  // namespace scalefs::diskfs
