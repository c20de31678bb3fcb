#include "tools/image_blank.h"

#include <algorithm>

#include "diskfs/batch.h"
#include "diskfs/items.h"
#include "diskfs/journal_format.h"
#include "diskfs/stand_in.h"

namespace scalefs::tools {

using diskfs::ByteVector;
using diskfs::Dirent;
using diskfs::ItemType;
using diskfs::Mapping;
using diskfs::XattrRecord;

namespace {

std::string stand_in(const HashKey& key, std::string_view name) {
  return diskfs::stand_in_name(siphash24(key, name), name.size());
}

bool blank_dirents(const HashKey& key, uint64_t hash, ConstBytes value, ByteVector* to) {
  std::vector<Dirent> entries;
  if (!decode_dirents(hash, value, &entries).ok()) return false;
  for (Dirent& entry : entries) entry.name = stand_in(key, entry.name);
  std::sort(entries.begin(), entries.end(),
            [](const Dirent& a, const Dirent& b) { return a.name < b.name; });
  encode_dirents(entries, to);
  return true;
}

bool blank_mapping(uint64_t page, ConstBytes value, ByteVector* to) {
  Mapping mapping;
  if (!decode_mapping(page, value, &mapping).ok()) return false;
  std::fill(mapping.crcs.begin(), mapping.crcs.end(), zero_block_crc());
  std::fill(mapping.bytes.begin(), mapping.bytes.end(), std::byte{0});
  encode_mapping(mapping, to);
  return true;
}

bool blank_xattrs(const HashKey& key, ConstBytes value, ByteVector* to) {
  std::vector<XattrRecord> records;
  if (!decode_xattrs(value, &records).ok()) return false;
  for (XattrRecord& record : records) {
    record.name = diskfs::stand_in_xattr_name(siphash24(key, record.name), record.name);
    std::fill(record.value.begin(), record.value.end(), std::byte{0});
  }
  std::sort(records.begin(), records.end(),
            [](const XattrRecord& a, const XattrRecord& b) { return a.name < b.name; });
  encode_xattrs(records, to);
  return true;
}

// The operations again, without what they carry for users.
class BlankBatch final : public diskfs::BatchVisitor {
 public:
  BlankBatch(const HashKey& key, diskfs::Batch& to) : key_(key), to_(to) {}

  Status put_inode(Ino ino, const diskfs::InodeItem& item) override {
    to_.put_inode(ino, item);
    return {};
  }
  Status delete_inode(Ino ino) override {
    to_.delete_inode(ino);
    return {};
  }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const diskfs::DirentTarget& target) override {
    to_.put_dirent(dir, hash, stand_in(key_, name), target);
    return {};
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    to_.del_dirent(dir, hash, stand_in(key_, name));
    return {};
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first,
                    std::span<const uint32_t> crcs) override {
    to_.put_extent(ino, page, first, std::vector<uint32_t>(crcs.size(), zero_block_crc()));
    return {};
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    to_.put_unwritten(ino, page, count);
    return {};
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    to_.put_inline(ino, page, ByteVector(content.size()));
    return {};
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    to_.punch(ino, from, to);
    return {};
  }
  // Where they go follows from a hash that only the original name has.
  Status put_xattr(Ino, std::string_view, ConstBytes) override { return {}; }
  Status del_xattr(Ino, std::string_view) override { return {}; }
  Status put_orphan(Ino ino) override {
    to_.put_orphan(ino);
    return {};
  }
  Status del_orphan(Ino ino) override {
    to_.del_orphan(ino);
    return {};
  }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    to_.set_mnode_mark(slot, counter);
    return {};
  }

 private:
  const HashKey& key_;
  diskfs::Batch& to_;
};

}  // namespace

uint32_t zero_block_crc() {
  static const uint32_t crc = [] {
    const ByteVector zeros(kBlockBytes);
    return crc32c(zeros.data(), zeros.size());
  }();
  return crc;
}

void Blank::value(const diskfs::Key& key, Bytes value) const {
  ByteVector blank;
  bool kept = false;
  switch (static_cast<ItemType>(key.type)) {
    case ItemType::inode: {
      diskfs::InodeItem item;
      if (decode_inode(value, &item).ok()) return;
      break;
    }
    case ItemType::dirent: kept = blank_dirents(key_, key.offset, value, &blank); break;
    case ItemType::mapping: kept = blank_mapping(key.offset, value, &blank); break;
    case ItemType::xattr: kept = blank_xattrs(key_, value, &blank); break;
    case ItemType::mnode_mark:
      if (value.size() == sizeof(uint64_t)) return;
      break;
    default: break;
  }
  SCALEFS_CHECK(!kept || blank.size() == value.size());
  if (kept) {
    std::copy(blank.begin(), blank.end(), value.begin());
  } else {
    std::fill(value.begin(), value.end(), std::byte{0});
  }
}

void Blank::leaf(Bytes page) const {
  const diskfs::NodeView view(page.data());
  size_t first_value = kBlockBytes;
  for (uint32_t i = 0; i < view.count(); ++i) {
    const ConstBytes stored = view.value(i);
    const size_t offset = static_cast<size_t>(stored.data() - page.data());
    first_value = std::min(first_value, offset);
    value(view.key(i), page.subspan(offset, stored.size()));
  }
  const size_t slots_end = diskfs::kNodeHeaderBytes + view.count() * diskfs::kLeafSlotBytes;
  std::fill(page.begin() + static_cast<ptrdiff_t>(slots_end),
            page.begin() + static_cast<ptrdiff_t>(first_value), std::byte{0});
}

bool Blank::batch(ConstBytes payload, std::vector<std::byte>* to, uint32_t* op_count) const {
  diskfs::Batch batch;
  BlankBatch visitor(key_, batch);
  if (!visit_batch(payload, visitor).ok()) {
    to->assign(payload.size(), std::byte{0});
    return false;
  }
  // A mark that every number is above fills up.
  while (diskfs::batch_blocks(batch.size_bytes()) < diskfs::batch_blocks(payload.size())) {
    batch.set_mnode_mark(0, 0);
  }
  to->assign(batch.bytes().begin(), batch.bytes().end());
  *op_count = batch.op_count();
  return true;
}

}  // namespace scalefs::tools
