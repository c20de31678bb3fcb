#include <array>

#include "diskfs/batch.h"
#include "diskfs/batch_format.h"
#include "diskfs/varint.h"

namespace scalefs::diskfs {

namespace {

int64_t wrapping_sum(int64_t base, uint64_t delta) {
  return static_cast<int64_t>(static_cast<uint64_t>(base) +
                              static_cast<uint64_t>(unzigzag(delta)));
}

// Takes one operation at a time off the front and hands it to the visitor when all its fields are
// in range; a bad field leaves `fields_` bad and the visitor uncalled.
class Decoder {
 public:
  Decoder(ConstBytes bytes, BatchVisitor& visitor) : fields_(bytes), visitor_(visitor) {}

  Status run() {
    while (!fields_.at_end()) {
      const Status status = operation();
      if (fields_.bad()) return Errno(EUCLEAN);
      if (!status.ok()) return status;
    }
    return fields_.bad() ? Status(Errno(EUCLEAN)) : Status();
  }

 private:
  Status operation();
  Status put_inode();
  Status dirent(bool put);
  Status put_extent();
  Status put_unwritten();
  Status put_inline();
  Status punch();
  Status put_xattr();
  Status del_xattr();
  Status set_mnode_mark();

  Ino ino() { return Ino(fields_.varint_in(1, kInoMax)); }
  std::string_view name() {
    const ConstBytes raw = fields_.bytes(fields_.le<uint8_t>());
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }

  FieldReader fields_;
  BatchVisitor& visitor_;
};

Status Decoder::operation() {
  const auto op = static_cast<BatchOp>(fields_.le<uint8_t>());
  switch (op) {
    case BatchOp::put_inode: return put_inode();
    case BatchOp::put_dirent: return dirent(true);
    case BatchOp::del_dirent: return dirent(false);
    case BatchOp::put_extent: return put_extent();
    case BatchOp::put_unwritten: return put_unwritten();
    case BatchOp::put_inline: return put_inline();
    case BatchOp::punch: return punch();
    case BatchOp::put_xattr: return put_xattr();
    case BatchOp::del_xattr: return del_xattr();
    case BatchOp::set_mnode_mark: return set_mnode_mark();
    case BatchOp::delete_inode:
    case BatchOp::put_orphan:
    case BatchOp::del_orphan: {
      const Ino number = ino();
      if (fields_.bad()) return {};
      if (op == BatchOp::delete_inode) return visitor_.delete_inode(number);
      return op == BatchOp::put_orphan ? visitor_.put_orphan(number) : visitor_.del_orphan(number);
    }
  }
  fields_.fail();
  return {};
}

Status Decoder::put_inode() {
  const Ino number = ino();
  const uint64_t mask = fields_.varint_in(0, (1u << kInodeFieldCount) - 1);
  InodeItem item;
  item.mnode = MnodeNo(fields_.varint_in(0, kMnodeNoLimit - 1));
  item.mode = static_cast<uint32_t>(fields_.varint_in(0, UINT32_MAX));
  unsigned bit = 0;
  const auto field = [&](uint64_t high) -> uint64_t {
    return (mask >> bit++) & 1 ? fields_.varint_in(1, high) : 0;
  };
  item.nlink = static_cast<uint32_t>(field(UINT32_MAX));
  item.flags = static_cast<uint32_t>(field(UINT32_MAX));
  item.uid = static_cast<uint32_t>(field(UINT32_MAX));
  item.gid = static_cast<uint32_t>(field(UINT32_MAX));
  item.generation = static_cast<uint32_t>(field(UINT32_MAX));
  item.rdev = field(UINT64_MAX);
  item.size = field(UINT64_MAX);
  item.btime_ns = unzigzag(field(UINT64_MAX));
  item.mtime_ns = wrapping_sum(item.btime_ns, field(UINT64_MAX));
  item.atime_ns = wrapping_sum(item.mtime_ns, field(UINT64_MAX));
  item.ctime_ns = wrapping_sum(item.mtime_ns, field(UINT64_MAX));
  item.parent_mnode = MnodeNo(field(kMnodeNoLimit - 1));
  item.parent_ino = Ino(field(kInoMax));
  if (fields_.bad()) return {};
  return visitor_.put_inode(number, item);
}

Status Decoder::dirent(bool put) {
  const Ino dir = ino();
  const uint64_t hash = fields_.le<uint64_t>();
  const std::string_view entry = name();
  fields_.require(valid_dirent_name(entry));
  if (!put) return fields_.bad() ? Status() : visitor_.del_dirent(dir, hash, entry);
  DirentTarget target;
  target.ino = ino();
  target.mnode = MnodeNo(fields_.varint_in(0, kMnodeNoLimit - 1));
  target.type = fields_.le<uint8_t>();
  fields_.require(target.type <= kDirentTypeMax);
  if (fields_.bad()) return {};
  return visitor_.put_dirent(dir, hash, entry, target);
}

Status Decoder::put_extent() {
  const Ino number = ino();
  const uint64_t page = fields_.varint_in(0, kFilePagesMax - 1);
  const uint64_t count = fields_.varint_in(1, Batch::kExtentBlocksMax);
  fields_.require(count <= kFilePagesMax - page);
  const BlockNo first(fields_.varint_in(1, kVolumeBlocksMax - count));
  std::array<uint32_t, Batch::kExtentBlocksMax> crcs;
  const ConstBytes raw = fields_.bytes(count * sizeof(uint32_t));
  if (fields_.bad()) return {};
  for (size_t i = 0; i < count; ++i) crcs[i] = load_le<uint32_t>(raw.data() + i * sizeof(uint32_t));
  return visitor_.put_extent(number, page, first, std::span(crcs).first(count));
}

Status Decoder::put_unwritten() {
  const Ino number = ino();
  const uint64_t page = fields_.varint_in(0, kFilePagesMax - 1);
  const uint64_t count = fields_.varint_in(1, kFilePagesMax - page);
  if (fields_.bad()) return {};
  return visitor_.put_unwritten(number, page, count);
}

Status Decoder::put_inline() {
  const Ino number = ino();
  const uint64_t page = fields_.varint_in(0, kFilePagesMax - 1);
  const ConstBytes content = fields_.bytes(fields_.varint_in(0, kBlockBytes));
  if (fields_.bad()) return {};
  return visitor_.put_inline(number, page, content);
}

Status Decoder::punch() {
  const Ino number = ino();
  const uint64_t from = fields_.varint_in(0, kFilePagesMax);
  const uint64_t count = fields_.varint_in(0, kFilePagesMax - from);
  if (fields_.bad()) return {};
  return visitor_.punch(number, from, count == 0 ? UINT64_MAX : from + count);
}

Status Decoder::put_xattr() {
  const Ino number = ino();
  const std::string_view key = name();
  fields_.require(valid_xattr_name(key));
  const ConstBytes value = fields_.bytes(fields_.varint_in(0, kXattrValueBytesMax));
  if (fields_.bad()) return {};
  return visitor_.put_xattr(number, key, value);
}

Status Decoder::del_xattr() {
  const Ino number = ino();
  const std::string_view key = name();
  fields_.require(valid_xattr_name(key));
  if (fields_.bad()) return {};
  return visitor_.del_xattr(number, key);
}

Status Decoder::set_mnode_mark() {
  const auto slot = static_cast<uint32_t>(fields_.varint_in(0, kMnodeSlotsMax - 1));
  const uint64_t counter = fields_.varint_in(0, kMnodeCounterMax);
  if (fields_.bad()) return {};
  return visitor_.set_mnode_mark(slot, counter);
}

}  // namespace

Status visit_batch(ConstBytes bytes, BatchVisitor& visitor) { return Decoder(bytes, visitor).run(); }

}  // namespace scalefs::diskfs
