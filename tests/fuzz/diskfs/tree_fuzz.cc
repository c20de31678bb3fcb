// The input is the pages of a tree, children first and the root last, as they would stand in the
// blocks from 1 on. Checksums, own addresses and the checksums of children are set right, so that
// what lies behind them is reached. Then everything that reads or changes a tree runs over it.
#include <cstring>

#include "base/log.h"
#include "base/random.h"
#include "diskfs/apply.h"
#include "diskfs/memory_device.h"
#include "diskfs/node_edit.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {
namespace {

constexpr uint8_t kUuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr HashKey kHashKey{0x1122334455667788, 0x99aabbccddeeff00};
constexpr size_t kPagesMax = 64;

void allow(int code) {
  SCALEFS_CHECK(code == 0 || code == EUCLEAN || code == ENOENT || code == ENODATA ||
                code == EOVERFLOW);
}

// Writes the pages to blocks 1 to n and returns the root.
TreeRoot store_pages(MemoryDevice& device, const uint8_t* data, size_t size) {
  const size_t pages = std::min(kPagesMax, (size + kBlockBytes - 1) / kBlockBytes);
  std::vector<NodeAddress> written(1);  // by block; none in block 0
  AlignedBuffer page(kBlockBytes);
  for (size_t i = 0; i < pages; ++i) {
    const size_t begin = i * kBlockBytes;
    std::memset(page.data(), 0, kBlockBytes);
    std::memcpy(page.data(), data + begin, std::min(kBlockBytes, size - begin));
    const NodeView view(page.data());
    if (!view.is_leaf() && view.count() <= kChildrenMax) {
      for (uint32_t c = 0; c < view.count(); ++c) {
        const uint64_t block = view.child(c).block.v;
        if (block < written.size()) child_set_address(page.data(), c, written[block]);
      }
    }
    written.push_back(seal_node(page.data(), kUuid, BlockNo(i + 1), view.address().generation));
    SCALEFS_CHECK(device.write(BlockNo(i + 1), page.span()).ok());
  }
  const NodeAddress root = written.back();
  return {root.block, root.crc, NodeView(page.data()).level() + 1, root.generation};
}

class Walk final : public TreeWalkVisitor {
 public:
  bool node(const NodeInfo&) override {
    // Sound ranges do not overlap, so a walk meets each block once, and each entry at most adds one.
    SCALEFS_CHECK(++nodes_ <= kPagesMax * (kChildrenMax + 1));
    return true;
  }
  bool item(const Key&, ConstBytes value, BlockNo) override {
    for (const std::byte b : value) sum_ += static_cast<uint8_t>(b);
    return true;
  }

 private:
  uint64_t nodes_ = 0, sum_ = 0;
};

class Sink final : public SpaceSink {
 public:
  Status referenced(BlockRun) override { return {}; }
  Status unreferenced(BlockRun) override { return {}; }
};

void read_tree(NodeStore& store, const TreeRoot& root, Random& random) {
  const TreeReader reader(store, root);
  for (int i = 0; i < 4; ++i) {
    const Ino ino(random.below(12));
    allow(reader.inode(ino).code());
    allow(reader.dirents(ino, random.below(5)).code());
    allow(reader.list(ino, random.below(3), 5).code());
    allow(reader.map(ino, random.below(100), UINT64_MAX).code());
    allow(reader.xattr(ino, "user.name 0").code());
    allow(reader.xattrs(ino).code());
  }
  allow(reader.orphans(Ino(), SIZE_MAX).code());
  allow(reader.free_inos(Ino(), SIZE_MAX).code());
  allow(reader.mnode_marks().code());
  Walk walk;
  allow(walk_tree(store, root, walk).code());
}

void change_tree(NodeStore& store, const TreeRoot& root, Random& random) {
  uint64_t next_block = 1000;
  const TreeWriter::Allocate allocate = [&](uint64_t want) -> Result<BlockRun> {
    next_block += want;
    return BlockRun{BlockNo(next_block - want), want};
  };
  const TreeWriter::Write write = [](BlockNo, ConstBytes) { return Status(); };
  Sink sink;
  TreeWriter writer(store, root);
  ApplyVisitor apply(writer, sink, {allocate, write});
  const std::vector<uint32_t> crcs(30, 1);
  const std::vector<std::byte> bytes(2000, std::byte{1});
  InodeItem item;
  item.mnode = MnodeNo(1);
  Status status;
  for (int i = 0; i < 24 && status.ok(); ++i) {
    const Ino ino(1 + random.below(12));
    const uint64_t page = random.below(150);
    switch (random.below(11)) {
      case 0: status = apply.put_inode(ino, item); break;
      case 1: status = apply.put_extent(ino, page, BlockNo(5), crcs); break;
      case 2: status = apply.put_unwritten(ino, page, 50); break;
      case 3: status = apply.put_inline(ino, page, bytes); break;
      case 4: status = apply.punch(ino, page, page + 40); break;
      case 5: status = apply.put_dirent(ino, page % 5, "name 3", {Ino(1), MnodeNo(1), 4}); break;
      case 6: status = apply.del_dirent(ino, page % 5, "name 2"); break;
      case 7: status = apply.put_xattr(ino, "user.name 1", bytes); break;
      case 8: status = apply.del_xattr(ino, "user.name 0"); break;
      case 9: status = apply.delete_inode(ino); break;
      default: status = apply.set_mnode_mark(2, page);
    }
    allow(status.code());
  }
  if (status.ok()) status = apply.finish();
  allow(status.code());
  if (!status.ok()) return;
  allow(writer.erase_range(Key(Ino(3), ItemType::inode, 0), Key::end(), nullptr).code());
  allow(writer.write_out(allocate, write, 99).code());
}

}  // namespace
}  // namespace scalefs::diskfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace scalefs::diskfs;
  if (size == 0) return 0;
  scalefs::set_log_level(scalefs::LogLevel::error);
  MemoryDevice device(1u << 20);
  const TreeRoot root = store_pages(device, data, size);
  NodeStore store(device, kUuid, kHashKey);
  scalefs::Random random(scalefs::crc32c(data, size));
  read_tree(store, root, random);
  change_tree(store, root, random);
  return 0;
}
