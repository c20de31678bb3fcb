#include "diskfs/batch.h"

#include <array>
#include <cstring>
#include <utility>

#include "diskfs/batch_format.h"
#include "diskfs/varint.h"

namespace scalefs::diskfs {

namespace {

uint64_t wrapping_delta(int64_t value, int64_t base) {
  return zigzag(static_cast<int64_t>(static_cast<uint64_t>(value) - static_cast<uint64_t>(base)));
}

// The optional fields of put_inode, in the order of their mask bits. Times stand as differences, so
// that equal ones vanish: mtime from btime, atime and ctime from mtime.
std::array<uint64_t, kInodeFieldCount> inode_fields(const InodeItem& item) {
  return {item.nlink,
          item.flags,
          item.uid,
          item.gid,
          item.generation,
          item.rdev,
          item.size,
          zigzag(item.btime_ns),
          wrapping_delta(item.mtime_ns, item.btime_ns),
          wrapping_delta(item.atime_ns, item.mtime_ns),
          wrapping_delta(item.ctime_ns, item.mtime_ns),
          item.parent_mnode.v,
          item.parent_ino.v};
}

bool valid_range(uint64_t page, uint64_t count) {
  return count >= 1 && page < kFilePagesMax && count <= kFilePagesMax - page;
}

class Encoder {
 public:
  Encoder(BatchBytes& to, BatchOp op) : to_(to) { le(static_cast<uint8_t>(op)); }
  Encoder& number(uint64_t value) {
    std::byte encoded[kVarintBytesMax];
    return raw(ConstBytes(encoded, encode_varint(encoded, value)));
  }
  Encoder& ino(Ino ino) {
    SCALEFS_CHECK(ino.v >= 1 && ino.v <= kInoMax);
    return number(ino.v);
  }
  Encoder& pages(uint64_t page, uint64_t count) {
    SCALEFS_CHECK(valid_range(page, count));
    return number(page).number(count);
  }
  template <class T>
  Encoder& le(T value) {
    store_le(to_.extend(sizeof(T)).data(), value);
    return *this;
  }
  Encoder& name(std::string_view name) {
    le(static_cast<uint8_t>(name.size()));
    return raw(std::as_bytes(std::span(name)));
  }
  Encoder& raw(ConstBytes bytes) {
    if (!bytes.empty()) std::memcpy(to_.extend(bytes.size()).data(), bytes.data(), bytes.size());
    return *this;
  }

 private:
  BatchBytes& to_;
};

}  // namespace

bool valid_dirent_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

bool valid_xattr_name(std::string_view name) {
  return !name.empty() && name.size() <= kXattrNameBytesMax && name.find('\0') == name.npos;
}

void Batch::put_inode(Ino ino, const InodeItem& item) {
  SCALEFS_CHECK(item.mnode.v < kMnodeNoLimit && item.parent_mnode.v < kMnodeNoLimit);
  SCALEFS_CHECK(item.parent_ino.v <= kInoMax);
  const auto fields = inode_fields(item);
  uint32_t mask = 0;
  for (size_t i = 0; i < fields.size(); ++i) mask |= (fields[i] != 0 ? 1u : 0u) << i;
  Encoder encoder(bytes_, BatchOp::put_inode);
  encoder.ino(ino).number(mask).number(item.mnode.v).number(item.mode);
  for (const uint64_t field : fields) {
    if (field != 0) encoder.number(field);
  }
  ++op_count_;
}

void Batch::delete_inode(Ino ino) {
  Encoder(bytes_, BatchOp::delete_inode).ino(ino);
  ++op_count_;
}

void Batch::put_dirent(Ino dir, uint64_t hash, std::string_view name, const DirentTarget& target) {
  SCALEFS_CHECK(valid_dirent_name(name));
  SCALEFS_CHECK(target.mnode.v < kMnodeNoLimit && target.type <= kDirentTypeMax);
  Encoder(bytes_, BatchOp::put_dirent)
      .ino(dir)
      .le(hash)
      .name(name)
      .ino(target.ino)
      .number(target.mnode.v)
      .le(target.type);
  ++op_count_;
}

void Batch::del_dirent(Ino dir, uint64_t hash, std::string_view name) {
  SCALEFS_CHECK(valid_dirent_name(name));
  Encoder(bytes_, BatchOp::del_dirent).ino(dir).le(hash).name(name);
  ++op_count_;
}

void Batch::put_extent(Ino ino, uint64_t page, BlockNo first, std::span<const uint32_t> crcs) {
  SCALEFS_CHECK(crcs.size() >= 1 && crcs.size() <= kExtentBlocksMax);
  SCALEFS_CHECK(first.v >= 1 && first.v <= kVolumeBlocksMax - crcs.size());
  Encoder(bytes_, BatchOp::put_extent)
      .ino(ino)
      .pages(page, crcs.size())
      .number(first.v)
      .raw(std::as_bytes(crcs));
  ++op_count_;
}

void Batch::put_unwritten(Ino ino, uint64_t page, uint64_t count) {
  Encoder(bytes_, BatchOp::put_unwritten).ino(ino).pages(page, count);
  ++op_count_;
}

void Batch::put_inline(Ino ino, uint64_t page, ConstBytes content) {
  SCALEFS_CHECK(page < kFilePagesMax && content.size() <= kBlockBytes);
  Encoder(bytes_, BatchOp::put_inline)
      .ino(ino)
      .number(page)
      .number(content.size())
      .raw(content);
  ++op_count_;
}

void Batch::punch(Ino ino, uint64_t from, uint64_t to) {
  SCALEFS_CHECK(from < to && from <= kFilePagesMax);
  SCALEFS_CHECK(to <= kFilePagesMax || to == UINT64_MAX);
  Encoder(bytes_, BatchOp::punch).ino(ino).number(from).number(to == UINT64_MAX ? 0 : to - from);
  ++op_count_;
}

void Batch::put_xattr(Ino ino, std::string_view name, ConstBytes value) {
  SCALEFS_CHECK(valid_xattr_name(name) && value.size() <= kXattrValueBytesMax);
  Encoder(bytes_, BatchOp::put_xattr).ino(ino).name(name).number(value.size()).raw(value);
  ++op_count_;
}

void Batch::del_xattr(Ino ino, std::string_view name) {
  SCALEFS_CHECK(valid_xattr_name(name));
  Encoder(bytes_, BatchOp::del_xattr).ino(ino).name(name);
  ++op_count_;
}

void Batch::put_orphan(Ino ino) {
  Encoder(bytes_, BatchOp::put_orphan).ino(ino);
  ++op_count_;
}

void Batch::del_orphan(Ino ino) {
  Encoder(bytes_, BatchOp::del_orphan).ino(ino);
  ++op_count_;
}

void Batch::set_mnode_mark(uint32_t slot, uint64_t counter) {
  SCALEFS_CHECK(slot < kMnodeSlotsMax && counter <= kMnodeCounterMax);
  Encoder(bytes_, BatchOp::set_mnode_mark).number(slot).number(counter);
  ++op_count_;
}

BatchBytes Batch::take_bytes() {
  op_count_ = 0;
  return std::exchange(bytes_, {});
}

void Batch::clear() {
  bytes_.clear();
  op_count_ = 0;
}

}  // namespace scalefs::diskfs
