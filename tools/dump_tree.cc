#include "tools/dump_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "diskfs/items.h"
#include "diskfs/stand_in.h"
#include "diskfs/tree_walk.h"
#include "tools/dump.h"
#include "tools/dump_batch.h"

namespace scalefs::tools {
namespace {

using diskfs::ItemType;
using diskfs::Key;

constexpr size_t kEntriesAStep = 1024;
constexpr uint64_t kPagesAStep = uint64_t{1} << 40;
constexpr size_t kMappingsAStep = 1024;

const char* type_name(uint8_t type) {
  switch (static_cast<ItemType>(type)) {
    case ItemType::inode: return "inode";
    case ItemType::dirent: return "dirent";
    case ItemType::mapping: return "mapping";
    case ItemType::xattr: return "xattr";
    case ItemType::xattr_chunk: return "xattr_chunk";
    case ItemType::orphan: return "orphan";
    case ItemType::recycled_ino: return "recycled_ino";
    case ItemType::mnode_mark: return "mnode_mark";
  }
  return "unknown";
}

const char* kind_of(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "symlink";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "character device";
    case S_IFBLK: return "block device";
  }
  return "unknown";
}

std::string key_text(const Key& key) {
  if (key.type == 0) return fmt::format("{}", key.ino);
  return fmt::format("{}/{}/{:x}", key.ino, type_name(key.type), key.offset);
}

class Nodes final : public diskfs::TreeWalkVisitor {
 public:
  Nodes(bool items, RecordPrinter& printer) : items_(items), printer_(printer) {}
  bool node(const NodeInfo& info) override {
    Record row{{"node", info.block.v}, {"level", info.level}, {"parent", info.parent.v},
               {"generation", info.generation}, {"entries", info.count},
               {"from", key_text(info.range.low)}};
    if (info.fault != diskfs::NodeFault::none) {
      row["damaged"] = diskfs::node_fault_name(info.fault);
      damaged_ = true;
    }
    printer_.row(row);
    return info.fault == diskfs::NodeFault::none;
  }
  bool item(const Key& key, ConstBytes value, BlockNo leaf) override {
    if (items_) {
      printer_.row({{"item", type_name(key.type)}, {"inode", key.ino},
                    {"offset", fmt::format("{:x}", key.offset)}, {"bytes", value.size()},
                    {"in_node", leaf.v}});
    }
    return true;
  }
  bool damaged() const { return damaged_; }

 private:
  const bool items_;
  RecordPrinter& printer_;
  bool damaged_ = false;
};

std::string hex(ConstBytes bytes) {
  std::string text;
  for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(b));
  return text;
}

}  // namespace

int TreeDump::show_nodes() {
  Nodes nodes(verbose_, printer_);
  if (!diskfs::walk_tree(store_, sb_.root, nodes).ok() || nodes.damaged())
    return console_.say(kDumpDamaged, "the tree has damaged nodes");
  return kDumpDone;
}

int TreeDump::unreadable(Ino ino, const char* what) {
  return console_.say(kDumpDamaged, "inode {}: {} cannot be read", ino.v, what);
}

// Those among which the name is, if it is there. In a metadata image its hash is not known.
Result<std::vector<diskfs::Dirent>> TreeDump::entries_of(Ino dir, const std::string& name) {
  if (!is_metadata_image(sb_)) return reader_.dirents(dir, siphash24(sb_.hash_key, name));
  SCALEFS_TRY(auto range, reader_.list(dir, 0, SIZE_MAX));
  return std::move(range.entries);
}

std::optional<Ino> TreeDump::resolve(const std::string& target, int* code) {
  uint64_t number = 0;
  const char* end = target.data() + target.size();
  const auto parsed = std::from_chars(target.data(), end, number);
  if (!target.empty() && parsed.ec == std::errc() && parsed.ptr == end) return Ino(number);
  if (target.empty() || target[0] != '/') {
    *code = console_.say(kDumpUsage, "'{}' is neither an inode's number nor a path that begins with /",
                         target);
    return std::nullopt;
  }
  Ino at = kRootIno;
  size_t from = 1;
  while (from < target.size()) {
    const size_t slash = std::min(target.find('/', from), target.size());
    const std::string name = target.substr(from, slash - from);
    from = slash + 1;
    if (name.empty()) continue;
    const auto entries = entries_of(at, name);
    if (!entries.ok()) {
      *code = unreadable(at, "its directory");
      return std::nullopt;
    }
    const auto entry = std::find_if(entries->begin(), entries->end(),
                                    [&](const diskfs::Dirent& e) { return e.name == name; });
    if (entry == entries->end()) {
      *code = console_.say(kDumpNoSuch, "{}: inode {} has no name '{}'", target, at.v, printable(name));
      return std::nullopt;
    }
    at = entry->target.ino;
  }
  return at;
}

std::optional<Ino> TreeDump::find(const std::string& target, diskfs::InodeItem* item, int* code) {
  const auto ino = resolve(target, code);
  if (!ino) return ino;
  auto found = reader_.inode(*ino);
  if (found.ok()) {
    *item = std::move(*found);
    return ino;
  }
  *code = found.code() == ENOENT ? console_.say(kDumpNoSuch, "there is no inode {}", ino->v)
                                 : unreadable(*ino, "its attributes");
  return std::nullopt;
}

int TreeDump::show_inode(const std::string& target) {
  int code = 0;
  diskfs::InodeItem item;
  const auto ino = find(target, &item, &code);
  if (!ino) return code;
  Record record{{"inode", ino->v},
                {"mnode", item.mnode.v},
                {"kind", kind_of(item.mode)},
                {"mode", fmt::format("{:o}", item.mode)},
                {"uid", item.uid},
                {"gid", item.gid},
                {"links", item.nlink},
                {"size", item.size},
                {"pages", item.blocks},
                {"flags", fmt::format("{:x}", item.flags)},
                {"generation", item.generation},
                {"atime", time_text(item.atime_ns)},
                {"mtime", time_text(item.mtime_ns)},
                {"ctime", time_text(item.ctime_ns)},
                {"btime", time_text(item.btime_ns)}};
  if (S_ISCHR(item.mode) || S_ISBLK(item.mode)) record["device"] = item.rdev;
  if (S_ISDIR(item.mode)) {
    record["entries"] = item.entries;
    record["parent"] = item.parent_ino.v;
  }
  const auto orphans = reader_.orphans(*ino, 1);
  if (!orphans.ok()) return unreadable(*ino, "whether it is an orphan");
  record["orphan"] = !orphans->empty() && orphans->front() == *ino;
  printer_.thing(record);
  if (const int mappings = show_mappings(*ino)) return mappings;
  return show_xattrs(*ino);
}

int TreeDump::show_mappings(Ino ino) {
  for (uint64_t page = 0; page < diskfs::kFilePagesMax;) {
    const auto mappings = reader_.map(ino, page, kPagesAStep, kMappingsAStep);
    if (!mappings.ok()) return unreadable(ino, "its mapping");
    if (mappings->empty()) break;
    for (const diskfs::Mapping& m : *mappings) {
      Record row{{"page", m.page}, {"count", m.count}};
      switch (m.kind) {
        case diskfs::Mapping::Kind::extent: row["block"] = m.block.v; break;
        case diskfs::Mapping::Kind::unwritten: row["unwritten"] = true; break;
        case diskfs::Mapping::Kind::inline_data: row["inline_bytes"] = m.bytes.size(); break;
      }
      if (verbose_ && m.kind == diskfs::Mapping::Kind::extent) {
        Record crcs = Record::array();
        for (const uint32_t crc : m.crcs) crcs.push_back(fmt::format("{:08x}", crc));
        row["crcs"] = crcs;
      }
      printer_.row(row);
    }
    page = mappings->back().page + mappings->back().count;
  }
  return kDumpDone;
}

int TreeDump::show_xattrs(Ino ino) {
  const auto xattrs = reader_.xattrs(ino);
  if (!xattrs.ok()) return unreadable(ino, "its extended attributes");
  for (const diskfs::XattrEntry& entry : *xattrs) {
    Record row{{"xattr", printable(entry.name)}, {"bytes", entry.value.size()}};
    if (verbose_) row["value"] = hex(entry.value);
    printer_.row(row);
  }
  return kDumpDone;
}

int TreeDump::show_directory(const std::string& target) {
  int code = 0;
  diskfs::InodeItem item;
  const auto ino = find(target, &item, &code);
  if (!ino) return code;
  if (!S_ISDIR(item.mode))
    return console_.say(kDumpNoSuch, "inode {} is a {}, not a directory", ino->v, kind_of(item.mode));
  std::optional<uint64_t> from = 0;
  while (from) {
    const auto range = reader_.list(*ino, *from, kEntriesAStep);
    if (!range.ok()) return unreadable(*ino, "some of its names");
    for (const diskfs::Dirent& entry : range->entries) {
      printer_.row({{"name", printable(entry.name)},
                    {"inode", entry.target.ino.v},
                    {"mnode", entry.target.mnode.v},
                    {"kind", kind_of(uint32_t{entry.target.type} << 12)},
                    {"hash", fmt::format("{:016x}", entry.hash)}});
    }
    from = range->next;
  }
  return kDumpDone;
}

}  // namespace scalefs::tools
