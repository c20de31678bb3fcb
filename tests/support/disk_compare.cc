// compare_state and check_volume of disk_history.h.
#include <fmt/format.h>

#include <optional>
#include <set>

#include "base/hash.h"
#include "diskfs/items.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock.h"
#include "diskfs/tree_walk.h"
#include "tests/support/disk_history.h"

namespace scalefs::diskfs {

namespace {

std::string compare_page(DiskFs& fs, const Mapping& mapping, uint64_t index,
                         const ModelPage& expected) {
  std::vector<std::byte> content(kBlockBytes);
  if (mapping.kind == Mapping::Kind::extent) {
    const BlockNo block(mapping.block.v + index);
    const Status read = fs.read_data(block, mapping.crcs[index], content);
    if (!read.ok()) return fmt::format("block {} cannot be read: {}", block.v, read.code());
    if (!fs.allocator().is_taken(block)) return fmt::format("block {} may be reused", block.v);
    if (expected.kind == Mapping::Kind::extent) {
      return block.v == expected.block && mapping.crcs[index] == expected.crc ? ""
                                                                              : "another block";
    }
  } else if (mapping.kind == Mapping::Kind::inline_data) {
    std::copy(mapping.bytes.begin(), mapping.bytes.end(), content.begin());
  }
  if (expected.kind == Mapping::Kind::unwritten) {
    return mapping.kind == Mapping::Kind::unwritten ? "" : "written";
  }
  if (expected.kind != Mapping::Kind::inline_data) return "another kind";
  return mapping.kind != Mapping::Kind::unwritten && content == expected.content
             ? ""
             : "another content";
}

std::string compare_pages(DiskFs& fs, const TreeReader& reader, Ino ino,
                          const ModelInode& expected) {
  const auto mappings = reader.map(ino, 0, kFilePagesMax);
  if (!mappings.ok()) return fmt::format("map: {}", mappings.code());
  auto next = expected.pages.begin();
  for (const Mapping& mapping : *mappings) {
    for (uint64_t i = 0; i < mapping.count; ++i, ++next) {
      if (next == expected.pages.end() || next->first != mapping.page + i) {
        return fmt::format("page {} is mapped or missing", mapping.page + i);
      }
      const std::string difference = compare_page(fs, mapping, i, next->second);
      if (!difference.empty()) return fmt::format("page {}: {}", next->first, difference);
    }
  }
  return next == expected.pages.end() ? "" : fmt::format("page {} is missing", next->first);
}

std::string compare_names(const TreeReader& reader, Ino ino, const ModelInode& expected) {
  std::map<std::pair<uint64_t, std::string>, DirentTarget> entries;
  for (std::optional<uint64_t> from = 0; from;) {
    const auto range = reader.list(ino, *from, 50);
    if (!range.ok()) return fmt::format("list: {}", range.code());
    for (const Dirent& entry : range->entries) entries[{entry.hash, entry.name}] = entry.target;
    from = range->next;
  }
  if (entries != expected.entries) return "other names";
  const auto xattrs = reader.xattrs(ino);
  if (!xattrs.ok()) return fmt::format("xattrs: {}", xattrs.code());
  std::map<std::string, ByteVector> found;
  for (const XattrEntry& entry : *xattrs) found[entry.name] = entry.value;
  return found == expected.xattrs ? "" : "other extended attributes";
}

std::string compare_inode(DiskFs& fs, const TreeReader& reader, Ino ino,
                          const ModelInode& expected) {
  const auto item = reader.inode(ino);
  if (!item.ok()) return fmt::format("inode: {}", item.code());
  InodeItem want = expected.item;
  want.blocks = expected.pages.size();
  want.entries = expected.entries.size();
  if (*item != want) return "other attributes";
  std::string difference = compare_names(reader, ino, expected);
  if (difference.empty()) difference = compare_pages(fs, reader, ino, expected);
  return difference;
}

std::set<uint64_t> numbers(const Result<std::vector<Ino>>& inos) {
  std::set<uint64_t> set;
  if (!inos.ok()) return {UINT64_MAX};
  for (const Ino ino : *inos) set.insert(ino.v);
  return set;
}

}  // namespace

std::string compare_state(DiskFs& fs, const ApplyModel& expected) {
  return compare_state(fs, fs.pin(), expected);
}

std::string compare_state(DiskFs& fs, const CheckpointPin& pin, const ApplyModel& expected) {
  const TreeReader& reader = pin.reader();
  const uint64_t last = expected.inodes.empty() ? 0 : expected.inodes.rbegin()->first;
  for (uint64_t number = 1; number <= last + 20; ++number) {
    const auto inode = expected.inodes.find(number);
    if (inode == expected.inodes.end()) {
      if (reader.inode(Ino(number)).code() == ENOENT) continue;
      return fmt::format("inode {} is there", number);
    }
    const std::string difference = compare_inode(fs, reader, Ino(number), inode->second);
    if (!difference.empty()) return fmt::format("inode {}: {}", number, difference);
  }
  if (numbers(reader.orphans(Ino(), SIZE_MAX)) != expected.orphans) return "other orphans";
  if (numbers(reader.free_inos(Ino(), SIZE_MAX)) != expected.recycled) return "other free numbers";
  const auto marks = reader.mnode_marks();
  if (!marks.ok()) return fmt::format("marks: {}", marks.code());
  if (std::map<uint32_t, uint64_t>(marks->begin(), marks->end()) != expected.marks) {
    return "other marks";
  }
  return "";
}

namespace {

// Collects what the tree owns and the faults that it finds on the way.
class Collector : public TreeWalkVisitor {
 public:
  explicit Collector(const Geometry& geometry) : geometry_(geometry) {}

  bool node(const NodeInfo& info) override {
    if (info.fault != NodeFault::none) {
      fault = fmt::format("node {}: {}", info.block.v, node_fault_name(info.fault));
    }
    own(info.block.v, "node");
    return true;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    if (key.ino != 0 && key.type == static_cast<uint8_t>(ItemType::inode)) inodes.insert(key.ino);
    if (key.ino != 0 && !inodes.contains(key.ino)) {
      fault = fmt::format("an item of inode {}, which does not exist", key.ino);
    }
    if (key.ino == 0 && key.type == static_cast<uint8_t>(ItemType::recycled_ino)) {
      recycled.insert(key.offset);
    }
    Mapping mapping;
    if (key.type != static_cast<uint8_t>(ItemType::mapping) || key.ino == 0) return true;
    if (!decode_mapping(key.offset, value, &mapping).ok()) fault = "a mapping does not decode";
    if (mapping.kind != Mapping::Kind::extent) return true;
    for (uint64_t i = 0; i < mapping.count; ++i) own(mapping.block.v + i, "data block");
    return true;
  }

  std::set<uint64_t> blocks;
  std::set<uint64_t> inodes;
  std::set<uint64_t> recycled;
  std::string fault;

 private:
  void own(uint64_t block, const char* what) {
    if (!geometry_.is_data(block)) fault = fmt::format("{} {} outside the data area", what, block);
    if (!blocks.insert(block).second) fault = fmt::format("{} {} is owned twice", what, block);
  }
  const Geometry& geometry_;
};

}  // namespace

std::string check_volume(BlockDevice& device) {
  std::string why;
  const auto sb = read_newest_superblock(device, &why);
  if (!sb.ok()) return why;
  auto map = SpaceMap::load(device, *sb, &why);
  if (!map.ok()) return why;
  NodeStore store(device, sb->uuid.data(), sb->hash_key);
  Collector found(sb->geometry);
  if (!walk_tree(store, sb->root, found).ok()) return "the tree cannot be walked";
  if (!found.fault.empty()) return found.fault;
  for (uint64_t block = sb->geometry.data_first; block < sb->geometry.data_end; ++block) {
    if ((*map)->test(BlockNo(block)) != found.blocks.contains(block)) {
      return fmt::format("block {} is {}", block,
                         found.blocks.contains(block) ? "in use but not marked" : "leaked");
    }
  }
  if (sb->inode_count != found.inodes.size()) return "inode_count is wrong";
  if (sb->free_ino_count != found.recycled.size()) return "free_ino_count is wrong";
  if (sb->free_blocks != (*map)->free_blocks()) return "free_blocks is wrong";
  if (!found.inodes.empty() && sb->next_ino <= *found.inodes.rbegin()) return "next_ino is low";
  if (!found.recycled.empty() && sb->next_ino <= *found.recycled.rbegin()) {
    return "next_ino is below a recycled number";
  }
  return "";
}

}  // namespace scalefs::diskfs
