#include "tests/support/repair_damages.h"

#include <sys/stat.h>

#include "base/aligned_buffer.h"

namespace scalefs::testing {

using namespace diskfs;

namespace {

using Damages = std::vector<RepairDamage>;
using S = RepairSample;
using Surgeon = ImageSurgeon;

Key inode_key(Ino ino) { return Key(ino, ItemType::inode, 0); }

// Damage to an inode's attributes.
std::function<void(S&)> attribute(Ino S::* which, std::function<void(InodeItem&)> change) {
  return [=](S& v) { v.operate([&](Surgeon& s) { s.edit_inode(v.*which, change); }); };
}
std::function<void(S&)> surgery(std::function<void(S&, Surgeon&)> work) {
  return [=](S& v) { v.operate([&](Surgeon& s) { work(v, s); }); };
}
std::function<void(S&)> name_of_file(std::function<void(S&, Dirent&)> change) {
  return surgery([=](S& v, Surgeon& s) {
    s.edit_names(kRootIno, s.hash("file"), [&](auto& e) { change(v, e[0]); });
  });
}
std::function<void(S&)> counter(std::function<void(Superblock&)> change) {
  return surgery([=](S&, Surgeon& s) { s.edit_superblock = change; });
}
std::function<void(S&)> extent(std::function<void(S&, Surgeon&, Mapping&)> change) {
  return surgery([=](S& v, Surgeon& s) {
    Mapping m = v.mapping(s, v.file, 4);
    change(v, s, m);
    v.put(s, v.file, m);
  });
}

void add_attributes(Damages& d) {
  d.push_back({"LinksTooMany", {}, false, false, attribute(&S::file, [](auto& i) { i.nlink = 2; })});
  d.push_back({"LinksZero", {}, false, false, attribute(&S::file, [](auto& i) { i.nlink = 0; })});
  d.push_back({"DirectoryLinks", {}, false, false, attribute(&S::dir, [](auto& i) { i.nlink = 9; })});
  d.push_back({"PagesTooMany", {}, true, false, attribute(&S::file, [](auto& i) { ++i.blocks; })});
  d.push_back({"PagesTooFew", {}, false, false, attribute(&S::file, [](auto& i) { --i.blocks; })});
  d.push_back({"EntriesTooFew", {}, false, false, attribute(&S::dir, [](auto& i) { --i.entries; })});
  d.push_back({"EntriesTooMany", {}, true, false, attribute(&S::dir, [](auto& i) { ++i.entries; })});
  d.push_back({"ParentInode", {}, false, false,
               attribute(&S::sub, [](auto& i) { i.parent_ino.v = 1; })});
  d.push_back({"ParentMnode", {}, false, false,
               attribute(&S::sub, [](auto& i) { i.parent_mnode.v = 1; })});
  d.push_back({"ParentOfFile", {}, false, false,
               attribute(&S::file, [](auto& i) { i.parent_ino.v = 1; })});
  d.push_back({"ModeOfNoType", {}, false, false, attribute(&S::file, [](auto& i) { i.mode = 0644; })});
  d.push_back({"TargetTooLong", {}, false, false,
               attribute(&S::link, [](auto& i) { i.size = 4096; })});
  d.push_back({"TargetEmpty", {}, false, false, attribute(&S::link, [](auto& i) { i.size = 0; })});
  d.push_back({"RootParent", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.edit_inode(kRootIno, [](auto& i) { i.parent_ino.v = 2; });
               })});
  d.push_back({"RootIsAFile", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.edit_inode(kRootIno, [](auto& i) { i.mode = S_IFREG | 0755; });
               })});
  d.push_back({"RootMnode", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.edit_inode(kRootIno, [](auto& i) { i.mnode.v = 77 << 10; });
               })});
}

void add_numbers(Damages& d) {
  d.push_back({"MnodeOfAnother", {}, false, false, surgery([](S& v, Surgeon& s) {
                 const MnodeNo other = v.content->object(v.dir).item.mnode;
                 s.edit_inode(v.file, [&](auto& i) { i.mnode = other; });
               })});
  d.push_back({"MnodeAboveTheMark", {"/file"}, false, false,
               attribute(&S::file, [](auto& i) { i.mnode.v = 5000 << 10 | 3; })});
  d.push_back({"MarkGone", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.erase(Key(Ino(), ItemType::mnode_mark, 3));
               })});
  d.push_back({"RecycledButUsed", {}, false, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::recycled_ino, v.file.v), {});
               })});
  d.push_back({"RecycledButNeverUsed", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::recycled_ino, 5000), {});
               })});
  d.push_back({"OrphanWithAName", {}, false, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::orphan, v.file.v), {});
               })});
  d.push_back({"OrphanOfNothing", {}, false, false, surgery([](S&, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::orphan, 7777), {});
               })});
  d.push_back({"CountOfInodes", {}, false, false, counter([](auto& sb) { --sb.inode_count; })});
  d.push_back({"CountOfRecycled", {}, false, false, counter([](auto& sb) { --sb.free_ino_count; })});
  d.push_back({"CountOfFreeBlocks", {}, false, false, counter([](auto& sb) { --sb.free_blocks; })});
  d.push_back({"NextInode", {}, false, false, counter([](auto& sb) {
                 --sb.next_ino;
                 --sb.free_ino_count;
               })});
}

void add_names(Damages& d) {
  d.push_back({"NameOfNothing", {"/file"}, true, false,
               name_of_file([](S&, Dirent& e) { e.target.ino.v = 5000; })});
  d.push_back({"NameOfTheRoot", {"/file"}, true, false,
               name_of_file([](S&, Dirent& e) { e.target = {kRootIno, kRootMnode, 4}; })});
  d.push_back({"NameType", {}, false, false, name_of_file([](S&, Dirent& e) { e.target.type = 4; })});
  d.push_back({"NameMnode", {}, false, false,
               name_of_file([](S&, Dirent& e) { ++e.target.mnode.v; })});
  d.push_back({"NameUnderAnotherHash", {"/file", "/elif"}, false, false,
               name_of_file([](S&, Dirent& e) { e.name = "elif"; })});
  d.push_back({"NameGone", {"/file"}, true, false, surgery([](S&, Surgeon& s) {
                 s.erase(Key(kRootIno, ItemType::dirent, s.hash("file")));
               })});
  d.push_back({"NameOfDirectoryGone", {"/directory"}, true, false, surgery([](S&, Surgeon& s) {
                 s.erase(Key(kRootIno, ItemType::dirent, s.hash("directory")));
               })});
  d.push_back({"NamesInAFile", {}, false, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(v.file, ItemType::dirent, s.hash("big")),
                       s.get(Key(kRootIno, ItemType::dirent, s.hash("big"))));
               })});
  d.push_back({"DirectoryTwice", {}, false, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(kRootIno, ItemType::dirent, s.hash("sub")),
                       s.get(Key(v.dir, ItemType::dirent, s.hash("sub"))));
               })});
  d.push_back({"DirectoryInsideItself", {"/directory"}, true, false, surgery([](S& v, Surgeon& s) {
                 const Key old_key(kRootIno, ItemType::dirent, s.hash("directory"));
                 const ByteVector entry = s.get(old_key);
                 s.erase(old_key);
                 s.put(Key(v.sub, ItemType::dirent, s.hash("directory")), entry);
               })});
  d.push_back({"NameMalformed", {"/file"}, true, false, surgery([](S&, Surgeon& s) {
                 s.put(Key(kRootIno, ItemType::dirent, s.hash("file")), ByteVector(3));
               })});
}

void add_items(Damages& d) {
  d.push_back({"ItemsOfNoInode", {}, true, false, surgery([](S& v, Surgeon& s) {
                 Mapping m;
                 m.kind = Mapping::Kind::unwritten;
                 m.count = 3;
                 v.put(s, Ino(6000), m);
               })});
  d.push_back({"MappingMalformed", {}, true, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(v.file, ItemType::mapping, 99), {});
               })});
  d.push_back({"MarkMalformed", {}, true, false, surgery([](S&, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::mnode_mark, 4), ByteVector(3));
               })});
  d.push_back({"RecycledMalformed", {}, true, false, surgery([](S&, Surgeon& s) {
                 s.put(Key(Ino(), ItemType::recycled_ino, 40), ByteVector(1));
               })});
  d.push_back({"InodeMalformed", {"/file"}, true, false, surgery([](S& v, Surgeon& s) {
                 s.put(inode_key(v.file), ByteVector(5));
               })});
  d.push_back({"DirectoryMalformed", {"/directory"}, true, false, surgery([](S& v, Surgeon& s) {
                 s.put(inode_key(v.dir), ByteVector(5));
               })});
  d.push_back({"RootMalformed", {"/"}, true, false, surgery([](S&, Surgeon& s) {
                 s.put(inode_key(kRootIno), ByteVector(5));
               })});
  d.push_back({"KeyOfNoType", {"*"}, true, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(v.file.v, 9, 0), {});
               })});
}

void add_extents(Damages& d) {
  d.push_back({"ExtentOverlaps", {}, true, false, surgery([](S& v, Surgeon& s) {
                 Mapping m = v.mapping(s, v.file, 0);
                 m.page = 1;
                 v.put(s, v.file, m);
               })});
  d.push_back({"ExtentInTheJournal", {"/file"}, true, false,
               extent([](S&, Surgeon&, Mapping& m) { m.block.v = 20; })});
  d.push_back({"ExtentBehindTheEnd", {"/file"}, true, false,
               extent([](S&, Surgeon&, Mapping& m) { m.block.v = 100'000; })});
  d.push_back({"ExtentInFreeBlocks", {"/file"}, false, false,
               extent([](S&, Surgeon&, Mapping& m) { m.block.v += 700; })});
  d.push_back({"BlockOfAnotherFile", {"/file"}, true, false,
               extent([](S& v, Surgeon& s, Mapping& m) {
                 m.block = v.mapping(s, v.big, 0).block;
               })});
  d.push_back({"BlockOfANode", {"/file"}, true, false, extent([](S& v, Surgeon&, Mapping& m) {
                 m.block = BlockNo(v.leaf_of(v.one_of_many));
               })});
  d.push_back({"MappingOfADirectory", {}, false, false, surgery([](S& v, Surgeon& s) {
                 Mapping m;
                 m.kind = Mapping::Kind::unwritten;
                 m.count = 3;
                 v.put(s, v.dir, m);
               })});
  d.push_back({"UsedBlockIsFree", {}, false, false, surgery([](S& v, Surgeon& s) {
                 ASSERT_TRUE(s.map->clear({v.mapping(s, v.file, 0).block, 1}).ok());
               })});
  d.push_back({"FreeBlockIsUsed", {}, false, false, surgery([](S&, Surgeon& s) {
                 ASSERT_TRUE(s.map->set({BlockNo(1500), 3}).ok());
               })});
}

uint64_t first_chunk(S& v, Surgeon& s) {
  std::vector<XattrRecord> records;
  const Key key(v.file, ItemType::xattr, s.hash("user.long"));
  EXPECT_TRUE(decode_xattrs(s.get(key), &records).ok());
  return records[0].chunk_id << 8;
}

void add_xattrs(Damages& d) {
  d.push_back({"XattrUnderAnotherHash", {"/file"}, true, false, surgery([](S& v, Surgeon& s) {
                 const Key key(v.file, ItemType::xattr, s.hash("user.short"));
                 const ByteVector value = s.get(key);
                 s.erase(key);
                 s.put(Key(v.file, ItemType::xattr, 1), value);
               })});
  d.push_back({"XattrPartGone", {"/file"}, true, false, surgery([](S& v, Surgeon& s) {
                 s.erase(Key(v.file, ItemType::xattr_chunk, first_chunk(v, s) + 1));
               })});
  d.push_back({"XattrPartOfNone", {}, false, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(v.file, ItemType::xattr_chunk, first_chunk(v, s) + 9), ByteVector(1));
               })});
  d.push_back({"XattrPartTooShort", {"/file"}, true, false, surgery([](S& v, Surgeon& s) {
                 s.put(Key(v.file, ItemType::xattr_chunk, first_chunk(v, s)), ByteVector(17));
               })});
  d.push_back({"XattrRecordGone", {"/file"}, false, false, surgery([](S& v, Surgeon& s) {
                 s.erase(Key(v.file, ItemType::xattr, s.hash("user.long")));
               })});
}

// A node with something wrong and every checksum made right, up to all superblocks.
std::function<void(S&)> lying_root(std::function<void(std::byte*)> change) {
  return [=](S& v) {
    Superblock sb = v.superblock();
    AlignedBuffer node(kBlockBytes);
    ASSERT_TRUE(v.device.read(sb.root.block, node.span()).ok());
    change(node.data());
    store_le<uint32_t>(node.data() + node_offset::crc, node_crc(node.span()));
    ASSERT_TRUE(v.device.write(sb.root.block, node.span()).ok());
    sb.root.crc = node_crc(node.span());
    ++sb.generation;
    ASSERT_TRUE(write_all_superblocks(v.device, sb).ok());
  };
}

void add_nodes(Damages& d) {
  d.push_back({"LeafFlipped", {"/many"}, true, false,
               [](S& v) { v.flip(v.leaf_of(v.one_of_many), 1000); }});
  d.push_back({"LeafOfTheRootFlipped", {"*"}, true, false,
               [](S& v) { v.flip(v.leaf_of(kRootIno), 1000); }});
  d.push_back({"RootNodeFlipped", {}, true, false,
               [](S& v) { v.flip(v.superblock().root.block.v, 2000); }});
  d.push_back({"RootNodeLevel", {"*"}, true, false,
               lying_root([](std::byte* n) { n[node_offset::level] ^= std::byte{1}; })});
  d.push_back({"RootNodeUuid", {"*"}, true, false,
               lying_root([](std::byte* n) { n[node_offset::uuid] ^= std::byte{1}; })});
  d.push_back({"ChildOutOfOrder", {"*"}, true, false, lying_root([](std::byte* n) {
                 std::byte* offset = n + kNodeHeaderBytes + kChildEntryBytes + 9;
                 store_le<uint64_t>(offset, load_le<uint64_t>(offset) + 1);
               })});
}

void add_maps(Damages& d) {
  d.push_back({"TableFlipped", {}, false, false, [](S& v) {
                 const Superblock sb = v.superblock();
                 v.flip(sb.geometry.table_first[sb.table.copy], 100);
               }});
  d.push_back({"BothTablesFlipped", {}, false, false, [](S& v) {
                 const Superblock sb = v.superblock();
                 v.flip(sb.geometry.table_first[0], 100);
                 v.flip(sb.geometry.table_first[1], 100);
               }});
  d.push_back({"MapFlipped", {}, false, false, [](S& v) {
                 const Superblock sb = v.superblock();
                 v.flip(sb.geometry.map_first(0, 0), 7);
                 v.flip(sb.geometry.map_first(0, 1), 7);
               }});
}

void flip_all(S& v, const std::vector<uint64_t>& places) {
  for (const uint64_t place : places) v.flip(place, 1000);
}

void add_superblocks(Damages& d) {
  d.push_back({"OneSuperblock", {}, false, false,
               [](S& v) { flip_all(v, {superblock_targets(v.superblock().generation, 2048)[0]}); }});
  d.push_back({"NewestSuperblockInTheRing", {}, false, false, [](S& v) {
                 auto places = superblock_targets(v.superblock().generation, 2048);
                 places.pop_back();
                 flip_all(v, places);
               }});
  d.push_back({"WholeRing", {}, false, false, [](S& v) {
                 auto places = superblock_places(2048);
                 places.resize(kSuperblockRingSlots);
                 flip_all(v, places);
               }});
  d.push_back({"EverySuperblock", {"*"}, false, true,
               [](S& v) { flip_all(v, superblock_places(2048)); }});
}

// The batches change the times of the directory too.
const std::vector<std::string> kNewFiles = {"=/directory", "/directory/new0", "/directory/new1",
                                            "/directory/new2", "/directory/new3"};

void add_journals(Damages& d) {
  d.push_back({"JournalInTheMiddle", kNewFiles, true, false, [](S& v) {
                 v.leave_batches(4);
                 const Superblock sb = v.superblock();
                 v.flip(sb.geometry.journal_first + sb.journal_scan + 1, 100);
               }});
  d.push_back({"MapFlippedBehindAJournal", kNewFiles, false, false, [](S& v) {
                 v.leave_batches(3);
                 const Superblock sb = v.superblock();
                 v.flip(sb.geometry.map_first(0, 0), 7);
                 v.flip(sb.geometry.map_first(0, 1), 7);
               }});
  d.push_back({"LeafFlippedBehindAJournal",
               {"/many", kNewFiles[0], kNewFiles[1], kNewFiles[2], kNewFiles[3]}, true, false, [](S& v) {
                 v.leave_batches(3);
                 v.flip(v.leaf_of(v.one_of_many), 1000);
               }});
  d.push_back({"NewestSuperblockBeforeAJournal", kNewFiles, false, false, [](S& v) {
                 v.leave_batches(3);
                 flip_all(v, superblock_targets(v.superblock().generation, 2048));
               }});
}

Damages make_damages() {
  Damages damages;
  for (const auto add : {add_attributes, add_numbers, add_names, add_items, add_extents, add_xattrs,
                         add_nodes, add_maps, add_superblocks, add_journals}) {
    add(damages);
  }
  return damages;
}

}  // namespace

const std::vector<RepairDamage>& repair_damages() {
  static const Damages damages = make_damages();
  return damages;
}

}  // namespace scalefs::testing
