#include "diskfs/check/repair_scan.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/check/repair_claims.h"

namespace scalefs::diskfs {

namespace {

ItemType type_of(const Key& key) { return static_cast<ItemType>(key.type); }

class Scan {
 public:
  Scan(const Superblock& sb, RepairClaims& claims, RepairTables& tables, RepairEdits& edits,
       RepairLog& log)
      : sb_(sb), claims_(claims), tables_(tables), edits_(edits), log_(log) {}

  Status item(const Key& key, ConstBytes value);
  void end_inode();

 private:
  void begin_inode(uint64_t ino);
  void global(const Key& key, ConstBytes value);
  void dirents(const Key& key, ConstBytes value);
  void mapping(const Key& key, ConstBytes value);
  void xattrs(const Key& key, ConstBytes value);
  void keep_good_attributes();
  template <class... Args>
  void lose(Code code, fmt::format_string<Args...> format, Args&&... args) {
    log_.lost.add(code, fmt::format(format, std::forward<Args>(args)...), ino_);
  }
  bool known_file(uint32_t mode) const {
    return S_ISREG(mode) || S_ISLNK(mode) || (mode & S_IFMT) == 0;
  }
  RepairInode& inode() { return tables_.inodes.back(); }

  const Superblock& sb_;
  RepairClaims& claims_;
  RepairTables& tables_;
  RepairEdits& edits_;
  RepairLog& log_;
  uint64_t ino_ = 0;
  uint64_t next_page_ = 0;
  std::map<uint64_t, std::vector<XattrRecord>> xattrs_;  // of the inode, by the key's offset
  std::map<uint64_t, size_t> chunks_;                    // its chunk items: offset, bytes
};

void Scan::begin_inode(uint64_t ino) {
  ino_ = ino;
  next_page_ = 0;
  xattrs_.clear();
  chunks_.clear();
  tables_.inodes.emplace_back();
  inode().ino = ino;
}

Status Scan::item(const Key& key, ConstBytes value) {
  if (key.ino != ino_) {
    end_inode();
    if (key.ino != 0) begin_inode(key.ino);
  }
  if (key.ino == 0) {
    global(key, value);
    return {};
  }
  switch (type_of(key)) {
    case ItemType::inode: inode().stored = decode_inode(value, &inode().item).ok(); break;
    case ItemType::dirent: dirents(key, value); break;
    case ItemType::mapping: mapping(key, value); break;
    case ItemType::xattr: xattrs(key, value); break;
    case ItemType::xattr_chunk: chunks_[key.offset] = value.size(); break;
    default: edits_.erase.push_back(key);
  }
  return {};
}

void Scan::global(const Key& key, ConstBytes value) {
  switch (type_of(key)) {
    case ItemType::orphan: tables_.orphans.push_back(key.offset); break;
    case ItemType::recycled_ino: tables_.recycled.push_back(key.offset); break;
    default: {
      uint64_t counter = 0;
      if (decode_mnode_mark(value, &counter).ok()) tables_.marks[key.offset] = counter;
    }
  }
}

void Scan::dirents(const Key& key, ConstBytes value) {
  std::vector<Dirent> entries;
  if (!decode_dirents(key.offset, value, &entries).ok()) return;
  const uint32_t mode = inode().item.mode;
  const bool no_directory = inode().stored && !S_ISDIR(mode) && (mode & S_IFMT) != 0;
  if (no_directory && ino_ != kRootIno.v) {
    log_.done.add(Code::dirent_owner,
                  fmt::format("removed {} names from inode {}, which is no directory",
                              entries.size(), ino_));
    edits_.erase.push_back(key);
    return;
  }
  inode().has_entries = true;
  for (uint32_t i = 0; i < entries.size(); ++i) {
    ++inode().entries;
    tables_.names.push_back({ino_, key.offset, entries[i].target, i, false});
  }
}

void Scan::mapping(const Key& key, ConstBytes value) {
  Mapping mapping;
  if (!decode_mapping(key.offset, value, &mapping).ok()) return;
  const auto drop = [&](Code code, const char* why) {
    edits_.erase.push_back(key);
    if (mapping.kind == Mapping::Kind::unwritten) return;
    lose(code, "pages {} to {} ({})", mapping.page, mapping.page + mapping.count - 1, why);
  };
  if (inode().stored && !known_file(inode().item.mode)) {
    return drop(Code::extent_owner, "it is neither file nor symbolic link");
  }
  if (mapping.page < next_page_) return drop(Code::extent_overlap, "mapped twice");
  if (mapping.kind == Mapping::Kind::extent &&
      !sb_.geometry.is_data_run(mapping.block.v, mapping.count)) {
    return drop(Code::block_range, "their blocks cannot hold data");
  }
  next_page_ = mapping.page + mapping.count;
  inode().has_mappings = true;
  inode().pages += mapping.count;
  inode().end_page = next_page_;
  if (mapping.page == 0 && mapping.kind == Mapping::Kind::inline_data) {
    inode().link_bytes = static_cast<uint32_t>(mapping.bytes.size());
  }
  if (mapping.kind == Mapping::Kind::extent) claims_.reference(mapping);
}

void Scan::xattrs(const Key& key, ConstBytes value) {
  std::vector<XattrRecord> records;
  if (decode_xattrs(value, &records).ok()) xattrs_[key.offset] = std::move(records);
}

// Attributes whose names have another hash, or whose parts are not all there, go; so do parts of
// none.
void Scan::keep_good_attributes() {
  std::map<uint64_t, bool> ids;  // in use
  for (auto& [offset, records] : xattrs_) {
    const size_t before = records.size();
    std::erase_if(records, [&, at = offset](const XattrRecord& record) {
      bool good = siphash24(sb_.hash_key, record.name) == at;
      if (record.chunked) {
        good = good && !ids[record.chunk_id];
        const uint32_t count = xattr_chunk_count(record.value_size);
        for (uint32_t i = 0; good && i < count; ++i) {
          const auto chunk = chunks_.find(record.chunk_id << 8 | i);
          good = chunk != chunks_.end() &&
                 chunk->second == xattr_chunk_size(record.value_size, i);
        }
        if (good) {
          for (uint32_t i = 0; i < count; ++i) chunks_.erase(record.chunk_id << 8 | i);
          ids[record.chunk_id] = true;
        }
      }
      if (!good) {
        lose(record.chunked ? Code::xattr_chunks : Code::xattr_hash,
             "extended attribute {}", record.name);
      }
      return !good;
    });
    if (records.size() == before) continue;
    const Key key(Ino(ino_), ItemType::xattr, offset);
    if (records.empty()) {
      edits_.erase.push_back(key);
      continue;
    }
    ByteVector value;
    encode_xattrs(records, &value);
    edits_.put.push_back({key, std::move(value)});
  }
  if (chunks_.empty()) return;
  log_.done.add(Code::xattr_chunks,
                fmt::format("removed {} parts of no attribute value of inode {}", chunks_.size(),
                            ino_));
  for (const auto& [offset, bytes] : chunks_) {
    edits_.erase.emplace_back(Ino(ino_), ItemType::xattr_chunk, offset);
  }
}

void Scan::end_inode() {
  if (ino_ == 0) return;
  keep_good_attributes();
  ino_ = 0;
}

}  // namespace

Status RepairEdits::apply(TreeWriter& tree) {
  for (const Key& key : erase) SCALEFS_TRY_VOID(tree.erase(key));
  for (const Put& edit : put) SCALEFS_TRY_VOID(tree.put(edit.key, edit.value));
  for (const uint64_t ino : erase_inodes) {
    SCALEFS_TRY_VOID(tree.erase_range(Key(ino, 0, 0), Key(ino + 1, 0, 0), nullptr));
  }
  return {};
}

std::string path_of(RepairTables& tables, TreeWriter& tree, uint64_t ino) {
  std::string path;
  uint64_t at = ino;
  for (int depth = 0; at != kRootIno.v; ++depth) {
    const RepairInode* inode = tables.find(at);
    if (inode == nullptr || inode->named_in == 0 || depth == 1024) {
      return path.empty() ? fmt::format("inode {}", ino) : fmt::format("inode {}: ...{}", ino, path);
    }
    ByteVector value;
    std::vector<Dirent> entries;
    const auto found = tree.find(Key(Ino(inode->named_in), ItemType::dirent, inode->named_hash),
                                 &value);
    if (!found.ok() || !*found || !decode_dirents(inode->named_hash, value, &entries).ok()) {
      return fmt::format("inode {}", ino);
    }
    std::string name = "?";
    for (const Dirent& entry : entries) {
      if (entry.target.ino.v == at) name = entry.name;
    }
    path.insert(0, "/" + name);
    at = inode->named_in;
  }
  return path.empty() ? "/" : path;
}

Status scan_items(TreeWriter& tree, const Superblock& sb, BlockDevice& device, RepairSpace& space,
                  RepairTables* tables, RepairEdits* edits, RepairLog& log) {
  RepairClaims claims(sb.geometry, device, space);
  Scan scan(sb, claims, *tables, *edits, log);
  SCALEFS_TRY_VOID(tree.visit(Key(), Key::end(), [&](const Key& key, ConstBytes value) {
    return scan.item(key, value);
  }));
  scan.end_inode();
  return claims.settle(tree, *edits, log);
}

}  // namespace scalefs::diskfs
