// The checker: clean images have no finding, and each kind of damage has its own code.
#include "diskfs/check/check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "base/aligned_buffer.h"
#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kBlocks = 2048;

std::set<std::string> codes_of(const CheckReport& report) {
  std::set<std::string> codes;
  for (const Finding& finding : report.findings.list()) codes.insert(code_name(finding.code));
  return codes;
}

std::string texts_of(const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings.list()) {
    text += fmt::format("{}: {}\n", code_name(finding.code), finding.text);
  }
  return text;
}

class CheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    format_small(device_);
    std::string why;
    auto fs = DiskFs::mount(device_, {}, &why);
    ASSERT_TRUE(fs.ok()) << why;
    sample_ = std::make_unique<RandomVolume>(**fs, 1);
    sample_->fill();
    ASSERT_TRUE((*fs)->unmount().ok());
    file_ = ino_of("file");
    dir_ = ino_of("directory");
    sub_ = sample_->object(dir_).entries.at("sub");
  }
  Ino ino_of(const std::string& name) { return sample_->object(kRootIno).entries.at(name); }
  CheckReport check() {
    std::string why;
    auto report = check_volume(device_, &why);
    EXPECT_TRUE(report.ok()) << why;
    return report.ok() ? *report : CheckReport();
  }
  // Exactly these codes, after the surgeon did its work.
  void expect(const std::set<std::string>& codes, const std::function<void(ImageSurgeon&)>& work) {
    auto kept = device_.clone();
    {
      ImageSurgeon surgeon(device_);
      work(surgeon);
      surgeon.finish();
    }
    CheckReport report = check();
    EXPECT_EQ(codes_of(report), codes) << texts_of(report);
    std::vector<std::byte> all(kBlocks * kBlockBytes);
    ASSERT_TRUE(kept->read(BlockNo(0), all).ok());
    ASSERT_TRUE(device_.write(BlockNo(0), all).ok());
  }
  void flip(uint64_t block, size_t offset) {
    AlignedBuffer bytes(kBlockBytes);
    ASSERT_TRUE(device_.read(BlockNo(block), bytes.span()).ok());
    bytes.data()[offset] ^= std::byte{1};
    ASSERT_TRUE(device_.write(BlockNo(block), bytes.span()).ok());
  }
  static Key inode_key(Ino ino) { return Key(ino, ItemType::inode, 0); }

  MemoryDevice device_{kBlocks};
  std::unique_ptr<RandomVolume> sample_;
  Ino file_, dir_, sub_;
};

TEST_F(CheckTest, CleanVolume) {
  CheckReport report = check();
  EXPECT_TRUE(report.findings.clean()) << texts_of(report);
  EXPECT_TRUE(report.findings.list().empty()) << texts_of(report);
  EXPECT_EQ(report.directories, 3u);
  EXPECT_EQ(report.orphans, 1u);
  EXPECT_EQ(report.inodes, 9u);
  EXPECT_EQ(report.batches_replayed, 0u);
}

TEST_F(CheckTest, FreshVolume) {
  format_small(device_);
  CheckReport report = check();
  EXPECT_TRUE(report.findings.list().empty()) << texts_of(report);
  EXPECT_EQ(report.inodes, 1u);
}

TEST_F(CheckTest, JournalIsReplayedInMemoryOnly) {
  std::string why;
  auto fs = DiskFs::mount(device_, {}, &why);
  ASSERT_TRUE(fs.ok()) << why;
  sample_->reopen(**fs);
  sample_->make(dir_, "later", S_IFREG | 0644);
  sample_->commit();
  sample_->make(dir_, "latest", S_IFDIR | 0755);
  sample_->commit();
  fs->reset();
  std::vector<std::byte> before(kBlocks * kBlockBytes), after(kBlocks * kBlockBytes);
  ASSERT_TRUE(device_.read(BlockNo(0), before).ok());
  device_.set_read_only(true);
  CheckReport report = check();
  EXPECT_TRUE(report.findings.clean()) << texts_of(report);
  EXPECT_EQ(report.batches_replayed, 2u);
  EXPECT_EQ(report.inodes, 11u);
  ASSERT_TRUE(device_.read(BlockNo(0), after).ok());
  EXPECT_EQ(before, after);
  device_.set_read_only(false);
  auto replayed = replay_volume(device_, &why);
  ASSERT_TRUE(replayed.ok()) << why;
  EXPECT_EQ(*replayed, 2u);
  report = check();
  EXPECT_EQ(report.batches_replayed, 0u);
  EXPECT_EQ(report.inodes, 11u);
  EXPECT_TRUE(report.findings.clean()) << texts_of(report);
  EXPECT_EQ(*replay_volume(device_, &why), 0u);
}

TEST_F(CheckTest, Attributes) {
  expect({"LINK-COUNT"}, [&](auto& s) { s.edit_inode(file_, [](auto& i) { i.nlink = 2; }); });
  expect({"LINK-COUNT"}, [&](auto& s) { s.edit_inode(dir_, [](auto& i) { i.nlink = 2; }); });
  expect({"LINK-COUNT", "ORPHAN-UNLISTED"},
         [&](auto& s) { s.edit_inode(file_, [](auto& i) { i.nlink = 0; }); });
  expect({"INODE-PAGES"}, [&](auto& s) { s.edit_inode(file_, [](auto& i) { ++i.blocks; }); });
  expect({"DIR-ENTRIES"}, [&](auto& s) { s.edit_inode(dir_, [](auto& i) { --i.entries; }); });
  expect({"DIR-PARENT"}, [&](auto& s) { s.edit_inode(sub_, [](auto& i) { i.parent_ino.v = 1; }); });
  expect({"DIR-PARENT"},
         [&](auto& s) { s.edit_inode(sub_, [](auto& i) { i.parent_mnode.v = 1; }); });
  expect({"DIR-PARENT"},
         [&](auto& s) { s.edit_inode(file_, [](auto& i) { i.parent_ino.v = 1; }); });
  expect({"INODE-MODE", "DIRENT-TYPE", "EXTENT-OWNER"},
         [&](auto& s) { s.edit_inode(file_, [](auto& i) { i.mode = 0644; }); });
  expect({"ROOT"}, [&](auto& s) { s.edit_inode(kRootIno, [](auto& i) { i.parent_ino.v = 2; }); });
  Ino link = sample_->object(dir_).entries.at("link");
  expect({"INODE-SIZE"}, [&](auto& s) { s.edit_inode(link, [](auto& i) { i.size = 4096; }); });
}

TEST_F(CheckTest, Numbers) {
  uint64_t mnode = sample_->object(dir_).item.mnode.v;
  expect({"MNODE-DOUBLE", "DIRENT-MNODE"},
         [&](auto& s) { s.edit_inode(file_, [&](auto& i) { i.mnode.v = mnode; }); });
  expect({"MNODE-MARK", "DIRENT-MNODE"},
         [&](auto& s) { s.edit_inode(file_, [](auto& i) { i.mnode.v = 5000 << 10 | 3; }); });
  expect({"MNODE-MARK"}, [](auto& s) { s.erase(Key(Ino(), ItemType::mnode_mark, 3)); });
  expect({"INO-RECYCLED", "SB-FREE-INOS"},
         [&](auto& s) { s.put(Key(Ino(), ItemType::recycled_ino, file_.v), {}); });
  expect({"INO-RECYCLED", "SB-FREE-INOS"},
         [](auto& s) { s.put(Key(Ino(), ItemType::recycled_ino, 5000), {}); });
  expect({"ORPHAN-LINKED"}, [&](auto& s) { s.put(Key(Ino(), ItemType::orphan, file_.v), {}); });
  expect({"ORPHAN-MISSING"}, [](auto& s) { s.put(Key(Ino(), ItemType::orphan, 77), {}); });
  expect({"SB-NEXT-INO"}, [&](auto& s) {
    s.edit_superblock = [](Superblock& sb) {
      sb.next_ino = sb.inode_count + sb.free_ino_count + 1;
    };
    s.edit_names(kRootIno, s.hash("file"), [](auto& e) { e[0].target.ino.v = 60; });
    ByteVector value = s.get(inode_key(file_));
    s.erase(inode_key(file_));
    s.put(inode_key(Ino(60)), value);
    s.edit_inode(Ino(60), [](auto& i) { i.blocks = 0; });
    for (uint64_t page : {0, 4, 6}) {
      Key key(file_, ItemType::mapping, page);
      Mapping mapping;
      ASSERT_TRUE(decode_mapping(page, s.get(key), &mapping).ok());
      s.erase(key);
      if (mapping.kind == Mapping::Kind::extent) {
        ASSERT_TRUE(s.map->clear({mapping.block, mapping.count}).ok());
      }
    }
    for (const char* name : {"user.short", "user.long"}) {
      s.erase(Key(file_, ItemType::xattr, s.hash(name)));
    }
    for (uint64_t i = 0; i < 4; ++i) s.erase(Key(file_, ItemType::xattr_chunk, i));
  });
}

TEST_F(CheckTest, Names) {
  auto edit = [&](auto& s, auto change) { s.edit_names(kRootIno, s.hash("file"), change); };
  expect({"DIRENT-TARGET", "LINK-COUNT"},
         [&](auto& s) { edit(s, [](auto& e) { e[0].target.ino.v = 50; }); });
  expect({"DIRENT-TYPE"}, [&](auto& s) { edit(s, [](auto& e) { e[0].target.type = 4; }); });
  expect({"DIRENT-MNODE"}, [&](auto& s) { edit(s, [](auto& e) { ++e[0].target.mnode.v; }); });
  expect({"DIRENT-HASH"}, [&](auto& s) { edit(s, [](auto& e) { e[0].name = "elif"; }); });
  expect({"DIR-ENTRIES", "LINK-COUNT"},
         [&](auto& s) { s.erase(Key(kRootIno, ItemType::dirent, s.hash("file"))); });
  expect({"DIRENT-OWNER", "DIR-ENTRIES", "LINK-COUNT"}, [&](auto& s) {
    s.put(Key(file_, ItemType::dirent, s.hash("file")),
          s.get(Key(kRootIno, ItemType::dirent, s.hash("file"))));
  });
  // A directory that lost its name, and all below it.
  expect({"DIR-ENTRIES", "LINK-COUNT", "UNREACHABLE"},
         [&](auto& s) { s.erase(Key(kRootIno, ItemType::dirent, s.hash("directory"))); });
  // A directory with two names.
  expect({"DIR-ENTRIES", "DIR-NAMES", "DIR-PARENT", "LINK-COUNT"}, [&](auto& s) {
    s.put(Key(kRootIno, ItemType::dirent, s.hash("sub")),
          s.get(Key(dir_, ItemType::dirent, s.hash("sub"))));
  });
}

TEST_F(CheckTest, DirectoriesInACircle) {
  expect({"UNREACHABLE"}, [&](auto& s) {
    Key old_key(kRootIno, ItemType::dirent, s.hash("directory"));
    ByteVector entry = s.get(old_key);
    s.erase(old_key);
    s.put(Key(sub_, ItemType::dirent, s.hash("directory")), entry);
    s.edit_inode(kRootIno, [](auto& i) { --i.nlink, --i.entries; });
    s.edit_inode(sub_, [](auto& i) { ++i.nlink, ++i.entries; });
    s.edit_inode(dir_, [&](auto& i) {
      i.parent_ino = sub_;
      i.parent_mnode = sample_->object(sub_).item.mnode;
    });
  });
}

TEST_F(CheckTest, Items) {
  expect({"ITEM-OWNER"}, [](auto& s) {
    Mapping unwritten;
    unwritten.kind = Mapping::Kind::unwritten;
    unwritten.count = 3;
    ByteVector value;
    encode_mapping(unwritten, &value);
    s.put(Key(Ino(40), ItemType::mapping, 0), value);
  });
  expect({"ITEM-DECODE"}, [&](auto& s) { s.put(Key(file_, ItemType::mapping, 99), {}); });
  expect({"ITEM-DECODE"},
         [](auto& s) { s.put(Key(Ino(), ItemType::mnode_mark, 4), ByteVector(3)); });
  expect({"ITEM-DECODE"}, [&](auto& s) {
    s.put(Key(Ino(), ItemType::recycled_ino, 40), ByteVector(1));
    s.edit_superblock = [](Superblock& sb) {
      ++sb.free_ino_count;
      sb.next_ino = 100;
    };
  });
  // Keys that no item has are the node's fault.
  expect({"TREE-STRUCTURE"}, [&](auto& s) { s.put(Key(file_.v, 9, 0), {}); });
  expect({"TREE-STRUCTURE"}, [](auto& s) { s.put(Key(0, 1, 0), {}); });
}

TEST_F(CheckTest, Extents) {
  auto mapping_of = [&](ImageSurgeon& s, uint64_t page) {
    Mapping mapping;
    EXPECT_TRUE(decode_mapping(page, s.get(Key(file_, ItemType::mapping, page)), &mapping).ok());
    return mapping;
  };
  auto put = [&](ImageSurgeon& s, const Mapping& mapping) {
    ByteVector value;
    encode_mapping(mapping, &value);
    s.put(Key(file_, ItemType::mapping, mapping.page), value);
  };
  expect({"EXTENT-OVERLAP", "BLOCK-DOUBLE", "INODE-PAGES"}, [&](auto& s) {
    Mapping mapping = mapping_of(s, 0);
    mapping.page = 1;
    put(s, mapping);
  });
  expect({"BLOCK-RANGE", "MAP-LEAK"}, [&](auto& s) {
    Mapping mapping = mapping_of(s, 4);
    mapping.block.v = 5;
    put(s, mapping);
  });
  expect({"BLOCK-RANGE", "MAP-LEAK"}, [&](auto& s) {
    Mapping mapping = mapping_of(s, 4);
    mapping.block.v = 100000;
    put(s, mapping);
  });
  expect({"MAP-FREE", "MAP-LEAK"}, [&](auto& s) {
    Mapping mapping = mapping_of(s, 4);
    mapping.block.v += 700;
    put(s, mapping);
  });
  expect({"MAP-FREE"}, [&](auto& s) {
    ASSERT_TRUE(s.map->clear({mapping_of(s, 0).block, 1}).ok());
  });
  expect({"MAP-LEAK"}, [](auto& s) { ASSERT_TRUE(s.map->set({BlockNo(1500), 3}).ok()); });
}

TEST_F(CheckTest, Xattrs) {
  expect({"XATTR-HASH"}, [&](auto& s) {
    Key key(file_, ItemType::xattr, s.hash("user.short"));
    ByteVector value = s.get(key);
    s.erase(key);
    s.put(Key(file_, ItemType::xattr, 1), value);
  });
  Key chunk(file_, ItemType::xattr_chunk, 0);
  auto first_chunk = [&](ImageSurgeon& s) {
    std::vector<XattrRecord> records;
    EXPECT_TRUE(
        decode_xattrs(s.get(Key(file_, ItemType::xattr, s.hash("user.long"))), &records).ok());
    return records[0].chunk_id << 8;
  };
  expect({"XATTR-CHUNKS"},
         [&](auto& s) { s.erase(Key(file_, ItemType::xattr_chunk, first_chunk(s) + 1)); });
  expect({"XATTR-CHUNKS"}, [&](auto& s) {
    s.put(Key(file_, ItemType::xattr_chunk, first_chunk(s) + 9), ByteVector(1));
  });
  expect({"XATTR-CHUNKS"}, [&](auto& s) {
    s.put(Key(file_, ItemType::xattr_chunk, first_chunk(s)), ByteVector(17));
  });
  expect({"XATTR-CHUNKS"},
         [&](auto& s) { s.erase(Key(file_, ItemType::xattr, s.hash("user.long"))); });
}

TEST_F(CheckTest, CountersOfTheSuperblock) {
  auto edit = [](auto change) { return [change](ImageSurgeon& s) { s.edit_superblock = change; }; };
  expect({"SB-INODES"}, edit([](Superblock& sb) { --sb.inode_count; }));
  expect({"SB-FREE-INOS"}, edit([](Superblock& sb) { --sb.free_ino_count; }));
  expect({"SB-FREE-BLOCKS"}, edit([](Superblock& sb) { --sb.free_blocks; }));
}

TEST_F(CheckTest, DamagedNode) {
  uint64_t root = check().superblock.root.block.v;
  flip(root, 2000);
  CheckReport report = check();
  EXPECT_EQ(codes_of(report), (std::set<std::string>{"TREE-CHECKSUM"})) << texts_of(report);
}

// The root with something wrong and every checksum made right: what a misdirected write or a
// faulty program leaves.
TEST_F(CheckTest, NodesThatLie) {
  using Change = std::function<void(std::byte * node)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"TREE-MAGIC", [](std::byte* n) { n[node_offset::magic] ^= std::byte{1}; }},
      {"TREE-UUID", [](std::byte* n) { n[node_offset::uuid] ^= std::byte{1}; }},
      {"TREE-ADDRESS", [](std::byte* n) { n[node_offset::block] ^= std::byte{1}; }},
      {"TREE-GENERATION", [](std::byte* n) { n[node_offset::generation] ^= std::byte{1}; }},
      {"TREE-LEVEL", [](std::byte* n) { n[node_offset::level] ^= std::byte{1}; }},
      {"TREE-STRUCTURE", [](std::byte* n) { n[node_offset::count] = std::byte{0}; }},
      {"TREE-STRUCTURE", [](std::byte* n) { n[kNodeHeaderBytes + 1] = std::byte{9}; }},
      // The second child begins behind its first key.
      {"TREE-ORDER",
       [](std::byte* n) {
         std::byte* offset = n + kNodeHeaderBytes + kChildEntryBytes + 9;
         store_le<uint64_t>(offset, load_le<uint64_t>(offset) + 1);
       }},
  };
  Superblock sb = check().superblock;
  for (const auto& [code, change] : changes) {
    AlignedBuffer node(kBlockBytes), kept(kBlockBytes);
    ASSERT_TRUE(device_.read(sb.root.block, kept.span()).ok());
    ASSERT_TRUE(device_.read(sb.root.block, node.span()).ok());
    change(node.data());
    store_le<uint32_t>(node.data() + node_offset::crc, node_crc(node.span()));
    ASSERT_TRUE(device_.write(sb.root.block, node.span()).ok());
    Superblock lying = sb;
    lying.root.crc = node_crc(node.span());
    ++lying.generation;
    ASSERT_TRUE(write_all_superblocks(device_, lying).ok());
    CheckReport report = check();
    EXPECT_EQ(codes_of(report), std::set<std::string>{code}) << texts_of(report);
    ASSERT_TRUE(device_.write(sb.root.block, kept.span()).ok());
  }
}

TEST_F(CheckTest, UnreadableNode) {
  uint64_t root = check().superblock.root.block.v;
  FaultDevice fault(device_);
  fault.fail_block(BlockNo(root), EIO);
  std::string why;
  auto report = check_volume(fault, &why);
  ASSERT_TRUE(report.ok()) << why;
  EXPECT_EQ(codes_of(*report), (std::set<std::string>{"TREE-IO"})) << texts_of(*report);
}

TEST_F(CheckTest, TableAndMaps) {
  Superblock sb = check().superblock;
  flip(sb.geometry.table_first[sb.table.copy], 100);
  EXPECT_EQ(codes_of(check()), (std::set<std::string>{"TABLE-DAMAGED"}));
  flip(sb.geometry.table_first[sb.table.copy], 100);
  AlignedBuffer table(kBlockBytes);
  ASSERT_TRUE(device_.read(BlockNo(sb.geometry.table_first[sb.table.copy]), table.span()).ok());
  auto* entry = reinterpret_cast<RawTableEntry*>(table.data() + kTableHeaderBytes);
  ASSERT_NE(entry->generation, 0u);
  flip(sb.geometry.map_first(0, entry->copy_and_free >> 31), 7);
  EXPECT_EQ(codes_of(check()), (std::set<std::string>{"MAP-DAMAGED"}));
}

TEST_F(CheckTest, SuperblockCopies) {
  Superblock sb = check().superblock;
  auto next = superblock_targets(sb.generation + 1, kBlocks);
  auto own = superblock_targets(sb.generation, kBlocks);
  for (uint64_t place : superblock_places(kBlocks)) {
    flip(place, 1000);
    bool torn = std::find(next.begin(), next.end(), place) != next.end();
    CheckReport report = check();
    EXPECT_EQ(codes_of(report), std::set<std::string>{torn ? "SB-OLD" : "SB-DAMAGED"}) << place;
    EXPECT_EQ(report.findings.clean(), torn);
    flip(place, 1000);
  }
  for (uint64_t place : superblock_places(kBlocks)) flip(place, 1000);
  EXPECT_EQ(codes_of(check()), (std::set<std::string>{"SB-NONE"}));
}

TEST_F(CheckTest, WhatIsNoVolume) {
  std::string why;
  MemoryDevice zeros(kBlocks);
  EXPECT_EQ(check_volume(zeros, &why).code(), EINVAL);
  MemoryDevice shorter(kBlocks - 300);
  std::vector<std::byte> front((kBlocks - 300) * kBlockBytes);
  ASSERT_TRUE(device_.read(BlockNo(0), front).ok());
  ASSERT_TRUE(shorter.write(BlockNo(0), front).ok());
  auto report = check_volume(shorter, &why);
  ASSERT_TRUE(report.ok()) << why;
  EXPECT_EQ(codes_of(*report), (std::set<std::string>{"SB-TRUNCATED"}));
}

TEST_F(CheckTest, JournalThatIsDamagedInTheMiddle) {
  std::string why;
  auto fs = DiskFs::mount(device_, {}, &why);
  ASSERT_TRUE(fs.ok()) << why;
  sample_->reopen(**fs);
  for (int i = 0; i < 4; ++i) {
    sample_->make(dir_, fmt::format("new{}", i), S_IFREG | 0644);
    sample_->commit();
  }
  fs->reset();
  Superblock sb = check().superblock;
  auto newest = read_newest_superblock(device_, &why);
  ASSERT_TRUE(newest.ok()) << why;
  flip(newest->geometry.journal_first + newest->journal_scan + 1, 100);
  CheckReport report = check();
  EXPECT_EQ(codes_of(report), (std::set<std::string>{"JOURNAL-DAMAGED"})) << texts_of(report);
}

TEST(Findings, AreBoundedPerCode) {
  Findings findings;
  for (int i = 0; i < 1000; ++i) findings.add(Code::map_leak, "x");
  findings.add(Code::sb_old, "note");
  EXPECT_EQ(findings.list().size(), Findings::kPerCodeMax + 1);
  EXPECT_EQ(findings.count(Code::map_leak), 1000u);
  EXPECT_EQ(findings.errors(), 1000u);
  EXPECT_EQ(findings.omitted(), 900u);
}

TEST(Findings, CodesAreUnique) {
  std::set<std::string> names;
  for (size_t i = 0; i < static_cast<size_t>(Code::count_); ++i) {
    EXPECT_TRUE(names.insert(code_name(static_cast<Code>(i))).second);
  }
}

}  // namespace
}  // namespace scalefs::diskfs
