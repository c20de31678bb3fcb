#include <fmt/format.h>
#include <sys/stat.h>

#include "base/aligned_buffer.h"
#include "diskfs/tree_walk.h"
#include "tests/support/repair_damages.h"

namespace scalefs::testing {

using namespace diskfs;

RepairSample::RepairSample() {
  format_small(device);
  std::string why;
  auto fs = DiskFs::mount(device, {}, &why);
  EXPECT_TRUE(fs.ok()) << why;
  content = std::make_unique<RandomVolume>(**fs, 1);
  content->fill();
  many = content->make(kRootIno, "many", S_IFDIR | 0755);
  for (int i = 0; i < 120; ++i) {
    const Ino ino = content->make(many, fmt::format("f{:03}", i), S_IFREG | 0644);
    content->write_inline(ino, 0, ByteVector(50, std::byte(i + 1)));
    content->set_size(ino, 50);
    if (i == 60) one_of_many = ino;
  }
  content->commit();
  big = content->make(kRootIno, "big", S_IFREG | 0600);
  std::vector<ByteVector> pages;
  for (int i = 0; i < 12; ++i) pages.emplace_back(kBlockBytes, std::byte(i + 200));
  content->write(big, 0, pages);
  content->set_size(big, 12 * kBlockBytes);
  content->commit();
  EXPECT_TRUE((*fs)->unmount().ok());
  const auto& root = content->object(kRootIno).entries;
  file = root.at("file");
  dir = root.at("directory");
  sub = content->object(dir).entries.at("sub");
  link = content->object(dir).entries.at("link");
}

void RepairSample::operate(const std::function<void(ImageSurgeon&)>& work) {
  ImageSurgeon surgeon(device);
  work(surgeon);
  surgeon.finish();
}

void RepairSample::flip(uint64_t block, size_t offset) {
  AlignedBuffer bytes(kBlockBytes);
  ASSERT_TRUE(device.read(BlockNo(block), bytes.span()).ok());
  bytes.data()[offset] ^= std::byte{1};
  ASSERT_TRUE(device.write(BlockNo(block), bytes.span()).ok());
}

void RepairSample::leave_batches(int count) {
  std::string why;
  auto fs = DiskFs::mount(device, {}, &why);
  ASSERT_TRUE(fs.ok()) << why;
  content->reopen(**fs);
  for (int i = 0; i < count; ++i) {
    content->make(dir, fmt::format("new{}", i), S_IFREG | 0644);
    content->commit();
  }
}

Superblock RepairSample::superblock() {
  std::string why;
  auto sb = read_newest_superblock(device, &why);
  EXPECT_TRUE(sb.ok()) << why;
  return *sb;
}

uint64_t RepairSample::leaf_of(Ino ino) {
  class Find final : public TreeWalkVisitor {
   public:
    bool node(const NodeInfo&) override { return true; }
    bool item(const Key& key, ConstBytes, BlockNo leaf) override {
      if (key == wanted) block = leaf.v;
      return true;
    }
    Key wanted;
    uint64_t block = 0;
  } find;
  find.wanted = Key(ino, ItemType::inode, 0);
  const Superblock sb = superblock();
  NodeStore store(device, sb.uuid.data(), sb.hash_key);
  EXPECT_TRUE(walk_tree(store, sb.root, find).ok());
  EXPECT_NE(find.block, 0u);
  return find.block;
}

Mapping RepairSample::mapping(ImageSurgeon& s, Ino ino, uint64_t page) {
  Mapping mapping;
  EXPECT_TRUE(decode_mapping(page, s.get(Key(ino, ItemType::mapping, page)), &mapping).ok());
  return mapping;
}

void RepairSample::put(ImageSurgeon& s, Ino ino, const Mapping& mapping) {
  ByteVector value;
  encode_mapping(mapping, &value);
  s.put(Key(ino, ItemType::mapping, mapping.page), value);
}

}  // namespace scalefs::testing
