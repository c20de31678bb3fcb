#include "diskfs/check/tree_scan.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>

#include "diskfs/batch_format.h"
#include "diskfs/stand_in.h"

namespace scalefs::diskfs {

namespace {

Code code_of(NodeFault fault) {
  switch (fault) {
    case NodeFault::none:
    case NodeFault::io: return Code::tree_io;
    case NodeFault::checksum: return Code::tree_checksum;
    case NodeFault::magic: return Code::tree_magic;
    case NodeFault::uuid: return Code::tree_uuid;
    case NodeFault::address: return Code::tree_address;
    case NodeFault::generation: return Code::tree_generation;
    case NodeFault::level: return Code::tree_level;
    case NodeFault::structure: return Code::tree_structure;
    case NodeFault::range: return Code::tree_order;
  }
  return Code::tree_structure;
}

bool known_type(uint32_t mode) {
  if (mode > 0177777) return false;
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
         S_ISFIFO(mode) || S_ISSOCK(mode);
}

// The key at which the items of an inode begin.
Key first_key(uint64_t ino) { return Key(ino, static_cast<uint8_t>(ItemType::inode), 0); }

}  // namespace

// --- nodes

void TreeScan::begin(const KeyRange& range) {
  first_ino_ = range.low.ino + (range.low > first_key(range.low.ino) ? 1 : 0);
  last_ino_ = range.high.ino;
  if (range.high > first_key(range.high.ino)) return;
  if (last_ino_ == 0) first_ino_ = 1;  // not even inode 0
  last_ino_ -= last_ino_ == 0 ? 0 : 1;
}

void TreeScan::lose(const KeyRange& range) {
  lost_to_ = std::max(lost_to_, range.high);
  if (range.low.ino <= current_.ino) current_.whole = false;
}

void TreeScan::lose_item() {
  to_.complete = false;
  current_.whole = false;
}

void TreeScan::reference(BlockRun run, const std::function<std::string()>& what) {
  if (refs_.reference(run, &to_.twice)) return;
  findings_.add(Code::block_range, fmt::format("{} references {}, which cannot hold data", what(),
                                               run_text(run.first.v, run.count)));
}

bool TreeScan::node(const NodeInfo& info) {
  if (info.fault != NodeFault::none) lose(info.range);
  if (tail_) return info.fault == NodeFault::none;
  ++to_.nodes;
  reference({info.block, 1}, [&] { return fmt::format("a tree node of level {}", info.level); });
  if (info.fault == NodeFault::none) return true;
  to_.complete = false;
  findings_.add(code_of(info.fault),
                fmt::format("the tree node in block {} (level {}, named by block {}) is bad: {}; "
                            "the items of inodes {} to {} in it are lost",
                            info.block.v, info.level, info.parent.v, node_fault_name(info.fault),
                            info.range.low.ino, info.range.high.ino));
  return false;
}

// --- items

bool TreeScan::item(const Key& key, ConstBytes value, BlockNo leaf) {
  if (key.ino < first_ino_ || key.ino > last_ino_) return !tail_;
  if (key.ino != current_.ino) {
    end_inode();
    begin_inode(key.ino);
  }
  bool good = key.ino == 0 ? global_item(key, value) : owned_item(key, value);
  if (!good) {
    findings_.add(Code::item_decode,
                  fmt::format("inode {}: the item of type {} at offset {} (block {}) is malformed",
                              key.ino, key.type, key.offset, leaf.v));
  }
  return true;
}

bool TreeScan::global_item(const Key& key, ConstBytes value) {
  switch (static_cast<ItemType>(key.type)) {
    case ItemType::orphan: table_.orphans.push_back(key.offset); return value.empty();
    case ItemType::recycled_ino: table_.recycled.push_back(key.offset); return value.empty();
    case ItemType::mnode_mark: {
      uint64_t counter = 0;
      if (key.offset >= kMnodeSlotsMax || !decode_mnode_mark(value, &counter).ok()) return false;
      table_.marks.resize(kMnodeSlotsMax);
      table_.marks[key.offset] = counter;
      return true;
    }
    default: return false;  // verify_node lets none pass
  }
}

bool TreeScan::owned_item(const Key& key, ConstBytes value) {
  ItemType type = static_cast<ItemType>(key.type);
  if (type == ItemType::inode) return inode_item(key, value);
  if (!current_.present) {
    // Told once.
    if (current_.whole) {
      findings_.add(Code::item_owner,
                    fmt::format("items of inode {} stand without its attributes", key.ino));
    }
    current_.present = true;
    current_.item = InodeItem();
  }
  switch (type) {
    case ItemType::dirent: return dirent_item(key, value);
    case ItemType::mapping: return mapping_item(key, value);
    case ItemType::xattr: return xattr_item(key, value);
    case ItemType::xattr_chunk: chunk_item(key, value); return true;
    default: return false;
  }
}

void TreeScan::begin_inode(uint64_t ino) {
  current_ = Current();
  current_.ino = ino;
  current_.whole = lost_to_ <= first_key(ino);
}

bool TreeScan::inode_item(const Key& key, ConstBytes value) {
  InodeItem& item = current_.item;
  current_.present = true;
  if (key.offset != 0 || key.ino > kInoMax || !decode_inode(value, &item).ok()) return false;
  InodeRecord record;
  record.ino = key.ino;
  record.mnode = item.mnode.v;
  record.parent_ino = item.parent_ino.v;
  record.parent_mnode = item.parent_mnode.v;
  record.nlink = item.nlink;
  record.mode = item.mode;
  table_.inodes.push_back(record);
  check_attributes(item);
  return true;
}

void TreeScan::check_attributes(const InodeItem& item) {
  uint64_t ino = current_.ino;
  if (!known_type(item.mode)) {
    findings_.add(Code::inode_mode, fmt::format("inode {} has mode 0{:o}", ino, item.mode));
  }
  if (S_ISLNK(item.mode) && (item.size == 0 || item.size > kSymlinkBytesMax)) {
    findings_.add(Code::inode_size,
                  fmt::format("inode {} is a symbolic link of {} bytes", ino, item.size));
  }
  if (!S_ISDIR(item.mode) && (item.parent_ino.v != 0 || item.parent_mnode.v != 0)) {
    findings_.add(Code::dir_parent, fmt::format("inode {} is no directory and has parent {}", ino,
                                                item.parent_ino.v));
  }
}

bool TreeScan::dirent_item(const Key& key, ConstBytes value) {
  std::vector<Dirent> entries;
  if (!decode_dirents(key.offset, value, &entries).ok()) {
    lose_item();
    return false;
  }
  if (current_.entries == 0 && current_.item.mode != 0 && !S_ISDIR(current_.item.mode)) {
    findings_.add(Code::dirent_owner,
                  fmt::format("inode {} is no directory and has names", key.ino));
  }
  for (const Dirent& entry : entries) {
    ++current_.entries;
    if (!dirent_has_hash(sb_, entry.name, key.offset)) {
      findings_.add(Code::dirent_hash, fmt::format("directory {}: the entry of inode {} stands "
                                                   "under the hash of another name",
                                                   key.ino, entry.target.ino.v));
    }
    table_.names.push_back({key.ino, entry.target.ino.v, entry.target.mnode.v, entry.target.type});
  }
  return true;
}

bool TreeScan::mapping_item(const Key& key, ConstBytes value) {
  Mapping mapping;
  if (!decode_mapping(key.offset, value, &mapping).ok()) {
    lose_item();  // its blocks are not known
    return false;
  }
  const uint32_t mode = current_.item.mode;
  if (current_.pages == 0 && mode != 0 && !S_ISREG(mode) && !S_ISLNK(mode)) {
    findings_.add(Code::extent_owner,
                  fmt::format("inode {} (mode 0{:o}) has mapped pages", key.ino, mode));
  }
  if (mapping.page < current_.next_page) {
    findings_.add(Code::extent_overlap,
                  fmt::format("inode {}: page {} is mapped twice", key.ino, mapping.page));
  }
  current_.next_page = std::max(current_.next_page, mapping.page + mapping.count);
  current_.pages += mapping.count;
  to_.pages += mapping.count;
  if (mapping.kind == Mapping::Kind::extent) {
    reference({mapping.block, mapping.count},
              [&] { return fmt::format("inode {}, page {}", key.ino, mapping.page); });
  }
  return true;
}

bool TreeScan::xattr_item(const Key& key, ConstBytes value) {
  std::vector<XattrRecord> records;
  if (!decode_xattrs(value, &records).ok()) return false;
  for (const XattrRecord& record : records) {
    if (!xattr_has_hash(sb_, record.name, key.offset)) {
      findings_.add(Code::xattr_hash, fmt::format("inode {}: an attribute stands under the hash of "
                                                  "another name",
                                                  key.ino));
    }
    if (!record.chunked) continue;
    bool first =
        current_.chunked.emplace(record.chunk_id, Current::Chunked{record.value_size, 0}).second;
    if (!first) {
      findings_.add(Code::xattr_chunks, fmt::format("inode {}: two attributes share chunks {}",
                                                    key.ino, record.chunk_id));
    }
  }
  return true;
}

void TreeScan::chunk_item(const Key& key, ConstBytes value) {
  uint64_t id = key.offset >> 8;
  uint32_t index = static_cast<uint32_t>(key.offset & 255);
  auto found = current_.chunked.find(id);
  bool expected = found != current_.chunked.end() && index == found->second.seen &&
                  index < xattr_chunk_count(found->second.value_bytes) &&
                  value.size() == xattr_chunk_size(found->second.value_bytes, index);
  if (expected) ++found->second.seen;
  if (expected || !current_.whole) return;
  findings_.add(
      Code::xattr_chunks,
      fmt::format("inode {}: chunk {} of attribute value {} belongs to none", key.ino, index, id));
}

void TreeScan::end_inode() {
  if (current_.ino == 0 || !current_.present || !current_.whole) return;
  const InodeItem& item = current_.item;
  for (const auto& [id, chunked] : current_.chunked) {
    if (chunked.seen == xattr_chunk_count(chunked.value_bytes)) continue;
    findings_.add(Code::xattr_chunks,
                  fmt::format("inode {}: attribute value {} lacks chunks", current_.ino, id));
  }
  if (item.mnode.v == 0) return;  // its attributes were missing or malformed
  if (item.blocks != current_.pages) {
    findings_.add(Code::inode_pages,
                  fmt::format("inode {} has {} mapped pages, its attributes say {}", current_.ino,
                              current_.pages, item.blocks));
  }
  if (item.entries != current_.entries) {
    findings_.add(Code::dir_entries, fmt::format("directory {} has {} names, its attributes say {}",
                                                 current_.ino, current_.entries, item.entries));
  }
}

}  // namespace scalefs::diskfs
