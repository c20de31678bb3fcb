#include "diskfs/items.h"

#include "diskfs/batch_format.h"

namespace scalefs::diskfs {

namespace {

constexpr uint8_t kMappingExtent = 1;
constexpr uint8_t kMappingUnwritten = 2;
constexpr uint8_t kMappingInline = 3;
constexpr uint8_t kXattrInline = 0;
constexpr uint8_t kXattrChunked = 1;

template <class T>
void append(ByteVector* to, T value) {
  const size_t at = to->size();
  to->resize(at + sizeof(T));
  store_le<T>(to->data() + at, value);
}
void append_bytes(ByteVector* to, const void* from, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(from);
  to->insert(to->end(), bytes, bytes + size);
}

// Takes fields off the front; once something is missing it gives zeros and stays bad().
class ItemReader {
 public:
  explicit ItemReader(ConstBytes from) : from_(from) {}
  template <class T>
  T get() {
    if (from_.size() < sizeof(T)) {
      bad_ = true;
      return 0;
    }
    const T value = load_le<T>(from_.data());
    from_ = from_.subspan(sizeof(T));
    return value;
  }
  ConstBytes bytes(size_t size) {
    if (from_.size() < size) {
      bad_ = true;
      return {};
    }
    const ConstBytes taken = from_.first(size);
    from_ = from_.subspan(size);
    return taken;
  }
  size_t left() const { return from_.size(); }
  bool bad() const { return bad_; }

 private:
  ConstBytes from_;
  bool bad_ = false;
};

std::string to_string(ConstBytes bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

bool inode_is_storable(const InodeItem& item) {
  return item.mnode.v != 0 && item.mnode.v < kMnodeNoLimit && item.size <= kFileBytesMax &&
         item.parent_mnode.v < kMnodeNoLimit && item.parent_ino.v <= kInoMax;
}

void encode_inode(const InodeItem& item, ByteVector* to) {
  to->reserve(to->size() + kInodeItemBytes);
  append<uint64_t>(to, item.mnode.v);
  append<uint32_t>(to, item.mode);
  append<uint32_t>(to, item.flags);
  append<uint32_t>(to, item.uid);
  append<uint32_t>(to, item.gid);
  append<uint32_t>(to, item.nlink);
  append<uint32_t>(to, item.generation);
  append<uint64_t>(to, item.rdev);
  append<uint64_t>(to, item.size);
  append<uint64_t>(to, item.blocks);
  append<uint64_t>(to, item.entries);
  append<int64_t>(to, item.atime_ns);
  append<int64_t>(to, item.mtime_ns);
  append<int64_t>(to, item.ctime_ns);
  append<int64_t>(to, item.btime_ns);
  append<uint64_t>(to, item.parent_mnode.v);
  append<uint64_t>(to, item.parent_ino.v);
}

Status decode_inode(ConstBytes from, InodeItem* item) {
  if (from.size() != kInodeItemBytes) return Errno(EUCLEAN);
  ItemReader reader(from);
  item->mnode = MnodeNo(reader.get<uint64_t>());
  item->mode = reader.get<uint32_t>();
  item->flags = reader.get<uint32_t>();
  item->uid = reader.get<uint32_t>();
  item->gid = reader.get<uint32_t>();
  item->nlink = reader.get<uint32_t>();
  item->generation = reader.get<uint32_t>();
  item->rdev = reader.get<uint64_t>();
  item->size = reader.get<uint64_t>();
  item->blocks = reader.get<uint64_t>();
  item->entries = reader.get<uint64_t>();
  item->atime_ns = reader.get<int64_t>();
  item->mtime_ns = reader.get<int64_t>();
  item->ctime_ns = reader.get<int64_t>();
  item->btime_ns = reader.get<int64_t>();
  item->parent_mnode = MnodeNo(reader.get<uint64_t>());
  item->parent_ino = Ino(reader.get<uint64_t>());
  if (item->blocks > kFilePagesMax || !inode_is_storable(*item)) return Errno(EUCLEAN);
  return {};
}

void encode_dirents(const std::vector<Dirent>& entries, ByteVector* to) {
  for (const Dirent& entry : entries) {
    append<uint64_t>(to, entry.target.ino.v);
    append<uint64_t>(to, entry.target.mnode.v);
    append<uint8_t>(to, entry.target.type);
    append<uint8_t>(to, static_cast<uint8_t>(entry.name.size()));
    append_bytes(to, entry.name.data(), entry.name.size());
  }
}

Status decode_dirents(uint64_t hash, ConstBytes from, std::vector<Dirent>* entries) {
  entries->clear();
  ItemReader reader(from);
  do {
    Dirent entry;
    entry.hash = hash;
    entry.target.ino = Ino(reader.get<uint64_t>());
    entry.target.mnode = MnodeNo(reader.get<uint64_t>());
    entry.target.type = reader.get<uint8_t>();
    entry.name = to_string(reader.bytes(reader.get<uint8_t>()));
    if (reader.bad() || !valid_dirent_name(entry.name)) return Errno(EUCLEAN);
    if (entry.target.ino.v == 0 || entry.target.ino.v > kInoMax ||
        entry.target.mnode.v >= kMnodeNoLimit || entry.target.type > kDirentTypeMax) {
      return Errno(EUCLEAN);
    }
    if (!entries->empty() && entries->back().name >= entry.name) return Errno(EUCLEAN);
    entries->push_back(std::move(entry));
  } while (reader.left() > 0);
  return {};
}

void encode_mapping(const Mapping& mapping, ByteVector* to) {
  switch (mapping.kind) {
    case Mapping::Kind::extent:
      append<uint8_t>(to, kMappingExtent);
      append<uint64_t>(to, mapping.block.v);
      append_bytes(to, mapping.crcs.data(), mapping.crcs.size() * sizeof(uint32_t));
      break;
    case Mapping::Kind::unwritten:
      append<uint8_t>(to, kMappingUnwritten);
      append<uint64_t>(to, mapping.count);
      break;
    case Mapping::Kind::inline_data:
      append<uint8_t>(to, kMappingInline);
      append_bytes(to, mapping.bytes.data(), mapping.bytes.size());
      break;
  }
}

Status decode_mapping(uint64_t page, ConstBytes from, Mapping* mapping) {
  ItemReader reader(from);
  const uint8_t kind = reader.get<uint8_t>();
  *mapping = Mapping();
  mapping->page = page;
  if (kind == kMappingExtent) {
    mapping->kind = Mapping::Kind::extent;
    mapping->block = BlockNo(reader.get<uint64_t>());
    if (reader.bad() || reader.left() % sizeof(uint32_t) != 0) return Errno(EUCLEAN);
    mapping->count = reader.left() / sizeof(uint32_t);
    if (mapping->count == 0 || mapping->count > kExtentItemBlocksMax) return Errno(EUCLEAN);
    if (mapping->block.v == 0 || mapping->block.v > kVolumeBlocksMax - mapping->count) {
      return Errno(EUCLEAN);
    }
    mapping->crcs.resize(mapping->count);
    for (uint32_t& crc : mapping->crcs) crc = reader.get<uint32_t>();
  } else if (kind == kMappingUnwritten) {
    mapping->kind = Mapping::Kind::unwritten;
    mapping->count = reader.get<uint64_t>();
    if (reader.bad() || reader.left() != 0 || mapping->count == 0) return Errno(EUCLEAN);
  } else if (kind == kMappingInline) {
    mapping->kind = Mapping::Kind::inline_data;
    mapping->count = 1;
    if (reader.left() > kInlineItemBytesMax) return Errno(EUCLEAN);
    const ConstBytes content = reader.bytes(reader.left());
    mapping->bytes.assign(content.begin(), content.end());
  } else {
    return Errno(EUCLEAN);
  }
  if (page >= kFilePagesMax || mapping->count > kFilePagesMax - page) return Errno(EUCLEAN);
  return {};
}

size_t xattr_record_bytes(const XattrRecord& record) {
  return 2 + record.name.size() + 4 + (record.chunked ? 8 : record.value.size());
}

void encode_xattrs(const std::vector<XattrRecord>& records, ByteVector* to) {
  for (const XattrRecord& record : records) {
    append<uint8_t>(to, record.chunked ? kXattrChunked : kXattrInline);
    append<uint8_t>(to, static_cast<uint8_t>(record.name.size()));
    append<uint32_t>(to, record.value_size);
    append_bytes(to, record.name.data(), record.name.size());
    if (record.chunked) {
      append<uint64_t>(to, record.chunk_id);
    } else {
      append_bytes(to, record.value.data(), record.value.size());
    }
  }
}

Status decode_xattrs(ConstBytes from, std::vector<XattrRecord>* records) {
  records->clear();
  ItemReader reader(from);
  do {
    XattrRecord record;
    const uint8_t kind = reader.get<uint8_t>();
    const uint8_t name_size = reader.get<uint8_t>();
    record.value_size = reader.get<uint32_t>();
    record.name = to_string(reader.bytes(name_size));
    if (reader.bad() || kind > kXattrChunked || !valid_xattr_name(record.name)) {
      return Errno(EUCLEAN);
    }
    record.chunked = kind == kXattrChunked;
    if (record.chunked) {
      record.chunk_id = reader.get<uint64_t>();
      if (record.value_size == 0 || record.value_size > kXattrValueBytesMax ||
          record.chunk_id > kXattrChunkIdMax) {
        return Errno(EUCLEAN);
      }
    } else {
      const ConstBytes value = reader.bytes(record.value_size);
      record.value.assign(value.begin(), value.end());
    }
    if (reader.bad()) return Errno(EUCLEAN);
    if (!records->empty() && records->back().name >= record.name) return Errno(EUCLEAN);
    records->push_back(std::move(record));
  } while (reader.left() > 0);
  return {};
}

size_t xattr_chunk_size(uint32_t value_size, uint32_t index) {
  const size_t before = index * kXattrChunkBytes;
  return value_size - before < kXattrChunkBytes ? value_size - before : kXattrChunkBytes;
}

void encode_mnode_mark(uint64_t counter, ByteVector* to) { append<uint64_t>(to, counter); }

Status decode_mnode_mark(ConstBytes from, uint64_t* counter) {
  if (from.size() != sizeof(uint64_t)) return Errno(EUCLEAN);
  *counter = load_le<uint64_t>(from.data());
  return *counter <= kMnodeCounterMax ? Status() : Status(Errno(EUCLEAN));
}

}  // namespace scalefs::diskfs
