#include "diskfs/items.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace scalefs::diskfs {
namespace {

InodeItem full_inode() {
  InodeItem item;
  item.mnode = MnodeNo(0x1122334455667);
  item.mode = 0100755;
  item.flags = 1;
  item.uid = 2;
  item.gid = 3;
  item.nlink = 4;
  item.generation = 5;
  item.rdev = 6;
  item.size = kFileBytesMax;
  item.blocks = kFilePagesMax;
  item.entries = UINT64_MAX;
  item.atime_ns = INT64_MIN;
  item.mtime_ns = -1;
  item.ctime_ns = INT64_MAX;
  item.btime_ns = 0;
  item.parent_mnode = MnodeNo(kMnodeNoLimit - 1);
  item.parent_ino = Ino((uint64_t{1} << 48) - 1);
  return item;
}

TEST(Items, inode_round_trip_and_bounds) {
  const InodeItem item = full_inode();
  ByteVector bytes;
  encode_inode(item, &bytes);
  EXPECT_EQ(bytes.size(), kInodeItemBytes);
  InodeItem back;
  ASSERT_TRUE(decode_inode(bytes, &back).ok());
  EXPECT_EQ(back, item);
  EXPECT_EQ(decode_inode(ConstBytes(bytes).first(111), &back).code(), EUCLEAN);
  bytes.push_back(std::byte{0});
  EXPECT_EQ(decode_inode(bytes, &back).code(), EUCLEAN);

  const auto refused = [](auto&& change) {
    InodeItem changed = full_inode();
    change(changed);
    ByteVector encoded;
    encode_inode(changed, &encoded);
    InodeItem decoded;
    return decode_inode(encoded, &decoded).code() == EUCLEAN;
  };
  EXPECT_TRUE(refused([](InodeItem& i) { i.mnode = MnodeNo(); }));
  EXPECT_TRUE(refused([](InodeItem& i) { i.mnode = MnodeNo(kMnodeNoLimit); }));
  EXPECT_TRUE(refused([](InodeItem& i) { i.size = kFileBytesMax + 1; }));
  EXPECT_TRUE(refused([](InodeItem& i) { i.blocks = kFilePagesMax + 1; }));
  EXPECT_TRUE(refused([](InodeItem& i) { i.parent_mnode = MnodeNo(kMnodeNoLimit); }));
  EXPECT_TRUE(refused([](InodeItem& i) { i.parent_ino = Ino(uint64_t{1} << 48); }));
}

std::vector<Dirent> entries_named(std::initializer_list<const char*> names) {
  std::vector<Dirent> entries;
  for (const char* name : names) entries.push_back({9, name, {Ino(2), MnodeNo(3), 8}});
  return entries;
}

bool dirents_decode(const std::vector<Dirent>& entries) {
  ByteVector bytes;
  encode_dirents(entries, &bytes);
  std::vector<Dirent> back;
  return decode_dirents(9, bytes, &back).ok();
}

TEST(Items, dirents_round_trip_and_bounds) {
  const std::vector<Dirent> entries =
      entries_named({"a", "b", std::string(255, 'n').c_str(), "\xff"});
  ByteVector bytes;
  encode_dirents(entries, &bytes);
  std::vector<Dirent> back;
  ASSERT_TRUE(decode_dirents(9, bytes, &back).ok());
  ASSERT_EQ(back.size(), entries.size());
  for (size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].name, entries[i].name);
    EXPECT_EQ(back[i].hash, 9u);
    EXPECT_EQ(back[i].target, entries[i].target);
  }
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    // Whole entries may be missing, half ones not.
    const bool whole = cut == 19 || cut == 38 || cut == bytes.size() - 19;
    EXPECT_EQ(decode_dirents(9, ConstBytes(bytes).first(cut), &back).ok(), whole) << cut;
  }
  EXPECT_FALSE(dirents_decode(entries_named({"b", "a"})));
  EXPECT_FALSE(dirents_decode(entries_named({"a", "a"})));
  for (const char* name : {"", ".", "..", "a/b"}) EXPECT_FALSE(dirents_decode(entries_named({name})));
  auto bad = entries_named({"a"});
  bad[0].target.ino = Ino();
  EXPECT_FALSE(dirents_decode(bad));
  bad = entries_named({"a"});
  bad[0].target.mnode = MnodeNo(kMnodeNoLimit);
  EXPECT_FALSE(dirents_decode(bad));
  bad = entries_named({"a"});
  bad[0].target.type = 16;
  EXPECT_FALSE(dirents_decode(bad));
}

TEST(Items, mappings_round_trip_and_bounds) {
  Mapping extent;
  extent.page = 5;
  extent.count = 128;
  extent.block = BlockNo(1000);
  for (uint32_t i = 0; i < 128; ++i) extent.crcs.push_back(i * 77);
  Mapping unwritten;
  unwritten.kind = Mapping::Kind::unwritten;
  unwritten.page = 5;
  unwritten.count = kFilePagesMax - 5;
  Mapping content;
  content.kind = Mapping::Kind::inline_data;
  content.page = 5;
  content.count = 1;
  content.bytes.resize(kInlineItemBytesMax, std::byte{3});
  for (const Mapping& mapping : {extent, unwritten, content}) {
    ByteVector bytes;
    encode_mapping(mapping, &bytes);
    Mapping back;
    ASSERT_TRUE(decode_mapping(5, bytes, &back).ok());
    EXPECT_EQ(back.kind, mapping.kind);
    EXPECT_EQ(back.page, 5u);
    EXPECT_EQ(back.count, mapping.count);
    EXPECT_EQ(back.block, mapping.block);
    EXPECT_EQ(back.crcs, mapping.crcs);
    EXPECT_EQ(back.bytes, mapping.bytes);
    EXPECT_EQ(decode_mapping(kFilePagesMax, bytes, &back).code(), EUCLEAN);
    if (mapping.kind == Mapping::Kind::inline_data) continue;
    EXPECT_EQ(decode_mapping(kFilePagesMax - 1, bytes, &back).code(), EUCLEAN);
    EXPECT_EQ(decode_mapping(5, ConstBytes(bytes).first(bytes.size() - 1), &back).code(), EUCLEAN);
    bytes.push_back(std::byte{0});
    EXPECT_EQ(decode_mapping(5, bytes, &back).code(), EUCLEAN);
  }
  const auto refused = [](Mapping mapping) {
    ByteVector bytes;
    encode_mapping(mapping, &bytes);
    Mapping back;
    return decode_mapping(mapping.page, bytes, &back).code() == EUCLEAN;
  };
  Mapping bad = extent;
  bad.crcs.push_back(1);
  EXPECT_TRUE(refused(bad));
  bad.crcs.clear();
  EXPECT_TRUE(refused(bad));
  bad = extent;
  bad.block = BlockNo();
  EXPECT_TRUE(refused(bad));
  bad.block = BlockNo(UINT64_MAX - 3);
  EXPECT_TRUE(refused(bad));
  bad = unwritten;
  bad.count = 0;
  EXPECT_TRUE(refused(bad));
  bad.count = UINT64_MAX;
  EXPECT_TRUE(refused(bad));
  bad = content;
  bad.bytes.push_back(std::byte{1});
  EXPECT_TRUE(refused(bad));
  Mapping back;
  EXPECT_EQ(decode_mapping(5, {}, &back).code(), EUCLEAN);
  const std::byte unknown[] = {std::byte{4}};
  EXPECT_EQ(decode_mapping(5, unknown, &back).code(), EUCLEAN);
}

TEST(Items, xattrs_round_trip_and_bounds) {
  XattrRecord small{"security.x", false, 0, 3, ByteVector(3, std::byte{9})};
  XattrRecord empty{"user.empty", false, 0, 0, {}};
  XattrRecord large{"user.large", true, 12345, 65536, {}};
  ByteVector bytes;
  encode_xattrs({small, empty, large}, &bytes);
  EXPECT_EQ(bytes.size(),
            xattr_record_bytes(small) + xattr_record_bytes(empty) + xattr_record_bytes(large));
  std::vector<XattrRecord> back;
  ASSERT_TRUE(decode_xattrs(bytes, &back).ok());
  ASSERT_EQ(back.size(), 3u);
  EXPECT_EQ(back[0].name, small.name);
  EXPECT_EQ(back[0].value, small.value);
  EXPECT_EQ(back[1].value_size, 0u);
  EXPECT_TRUE(back[2].chunked);
  EXPECT_EQ(back[2].chunk_id, 12345u);
  EXPECT_EQ(back[2].value_size, 65536u);
  const auto refused = [](const std::vector<XattrRecord>& records) {
    ByteVector encoded;
    encode_xattrs(records, &encoded);
    std::vector<XattrRecord> decoded;
    return decode_xattrs(encoded, &decoded).code() == EUCLEAN;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({large, small}));
  EXPECT_TRUE(refused({small, small}));
  EXPECT_TRUE(refused({{"", false, 0, 0, {}}}));
  EXPECT_TRUE(refused({{std::string("a\0b", 3), false, 0, 0, {}}}));
  EXPECT_TRUE(refused({{"a", true, 0, 65537, {}}}));
  EXPECT_TRUE(refused({{"a", true, 0, 0, {}}}));
  EXPECT_TRUE(refused({{"a", true, kXattrChunkIdMax + 1, 1, {}}}));
  EXPECT_TRUE(refused({{"a", false, 0, UINT32_MAX, {}}}));
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    const bool whole = cut == 19 || cut == 35;
    EXPECT_EQ(decode_xattrs(ConstBytes(bytes).first(cut), &back).ok(), whole) << cut;
  }
}

TEST(Items, chunks_add_up) {
  for (const uint32_t size : {1u, 1319u, 1320u, 1321u, 65535u, 65536u}) {
    size_t sum = 0;
    for (uint32_t i = 0; i < xattr_chunk_count(size); ++i) {
      EXPECT_GT(xattr_chunk_size(size, i), 0u);
      sum += xattr_chunk_size(size, i);
    }
    EXPECT_EQ(sum, size);
  }
  EXPECT_LE(xattr_chunk_count(kXattrValueBytesMax), 256u);
}

TEST(Items, largest_items_fit_a_node) {
  EXPECT_LE(9 + kExtentItemBlocksMax * 4, kItemValueMax);
  EXPECT_LE(1 + kInlineItemBytesMax, kItemValueMax);
  EXPECT_LE(kXattrChunkBytes, kItemValueMax);
  EXPECT_LE(6 + kXattrNameBytesMax + kXattrInlineBytesMax, kItemValueMax);
  EXPECT_LE(18 + kNameBytesMax, kItemValueMax);
}

// Decoders take any bytes.
TEST(Items, random_bytes_do_no_harm) {
  Random random(11);
  for (int round = 0; round < 20000; ++round) {
    ByteVector bytes(random.below(150));
    for (std::byte& b : bytes) {
      b = random.percent(50) ? std::byte(random.below(4)) : std::byte(random.next());
    }
    InodeItem inode;
    std::vector<Dirent> entries;
    Mapping mapping;
    std::vector<XattrRecord> records;
    uint64_t counter;
    for (const Status& status :
         {decode_inode(bytes, &inode), decode_dirents(1, bytes, &entries),
          decode_mapping(random.below(kFilePagesMax), bytes, &mapping),
          decode_xattrs(bytes, &records), decode_mnode_mark(bytes, &counter)}) {
      ASSERT_TRUE(status.ok() || status.code() == EUCLEAN);
    }
  }
}

}  // namespace
}  // namespace scalefs::diskfs
