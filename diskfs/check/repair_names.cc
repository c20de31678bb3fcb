#include "diskfs/check/repair_names.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <unordered_map>
#include <unordered_set>

#include "base/core.h"
#include "base/hash.h"
#include "diskfs/batch_format.h"
#include "diskfs/check/repair_names_log.h"

namespace scalefs::diskfs {

namespace {

constexpr uint32_t kModeBits = 0177777;

bool known_type(uint32_t mode) {
  if (mode > kModeBits) return false;
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
         S_ISFIFO(mode) || S_ISSOCK(mode);
}

}  // namespace

// --- helpers

std::string RepairNames::name_text(const RepairName& name) {
  ByteVector value;
  std::vector<Dirent> entries;
  const auto found = tree_.find(Key(Ino(name.dir), ItemType::dirent, name.hash), &value);
  const bool known = found.ok() && *found && decode_dirents(name.hash, value, &entries).ok() &&
                     name.ordinal < entries.size();
  const std::string dir = path(name.dir);
  return dir + (dir == "/" ? "" : "/") + (known ? entries[name.ordinal].name : "?");
}

MnodeNo RepairNames::new_mnode() {
  std::map<uint64_t, uint64_t> used = tables_.marks;
  for (const RepairInode& inode : tables_.inodes) {
    if (!inode.stored) continue;
    uint64_t& mark = used[inode.item.mnode.v % kCoresMax];
    mark = std::max(mark, (inode.item.mnode.v >> kCoreBits) + 1);
  }
  uint64_t slot = 0;
  while (slot + 1 < kMnodeSlotsMax && used[slot] >= kMnodeCounterMax) ++slot;
  const uint64_t counter = std::max<uint64_t>(used[slot], 1);
  tables_.marks[slot] = counter + 1;
  ByteVector value;
  encode_mnode_mark(counter + 1, &value);
  edits_.put.push_back({Key(Ino(), ItemType::mnode_mark, slot), std::move(value)});
  return MnodeNo(counter << kCoreBits | slot);
}

void RepairNames::put_inode(uint64_t ino, const InodeItem& item) {
  ByteVector value;
  encode_inode(item, &value);
  edits_.put.push_back({Key(Ino(ino), ItemType::inode, 0), std::move(value)});
}

void RepairNames::remove_name(RepairName& name) {
  name.gone = true;
  ++log_.names_removed[name.dir];
  name_edits_.push_back({name.dir, name.hash, name.ordinal, true, {}});
}

Result<bool> RepairNames::add_name(uint64_t dir, const std::string& name,
                                   const DirentTarget& target) {
  const uint64_t hash = siphash24(sb_.hash_key, name);
  const Key key(Ino(dir), ItemType::dirent, hash);
  ByteVector value;
  std::vector<Dirent> entries;
  SCALEFS_TRY(const bool found, tree_.find(key, &value));
  if (found && !decode_dirents(hash, value, &entries).ok()) return false;
  auto place = std::find_if(entries.begin(), entries.end(),
                            [&](const Dirent& entry) { return entry.name >= name; });
  if (place != entries.end() && place->name == name) return false;
  entries.insert(place, Dirent{hash, name, target});
  value.clear();
  encode_dirents(entries, &value);
  if (value.size() > kItemValueMax) return false;
  SCALEFS_TRY_VOID(tree_.put(key, value));
  --log_.names_removed[dir];
  changed_ = true;
  return true;
}

// --- names

// Items without their inode get one back: number and type from a name that leads there, else from
// what the items are. Who owned it is not known, so only root may look.
void RepairNames::make_missing_inodes() {
  const bool any = std::any_of(tables_.inodes.begin(), tables_.inodes.end(),
                               [](const RepairInode& r) { return !r.stored; });
  if (!any) return;
  std::unordered_set<uint64_t> mnodes;
  for (const RepairInode& inode : tables_.inodes) {
    if (inode.stored) mnodes.insert(inode.item.mnode.v);
  }
  std::unordered_map<uint64_t, DirentTarget> named;
  for (const RepairName& name : tables_.names) named.emplace(name.target.ino.v, name.target);
  for (RepairInode& inode : tables_.inodes) {
    if (inode.stored || inode.ino == kRootIno.v) continue;
    const auto name = named.find(inode.ino);
    const bool by_name = name != named.end() && known_type(uint32_t{name->second.type} << 12);
    if (!by_name && !inode.has_entries && !inode.has_mappings) {
      edits_.erase_inodes.push_back(inode.ino);
      done(Code::item_owner, "removed attributes of inode {}, which is not there", inode.ino);
      continue;
    }
    InodeItem item;
    item.mode = inode.has_entries ? S_IFDIR | 0700 : S_IFREG | 0600;
    if (by_name && !inode.has_entries) item.mode = uint32_t{name->second.type} << 12 | 0600;
    if (S_ISDIR(item.mode)) item.mode |= 0700;
    const bool usable = by_name && name->second.mnode.v > kRootMnode.v &&
                        mnodes.insert(name->second.mnode.v).second;
    item.mnode = usable ? name->second.mnode : new_mnode();
    item.nlink = 1;
    item.size = S_ISLNK(item.mode) ? inode.link_bytes : 0;
    if (S_ISREG(item.mode)) item.size = std::min(inode.end_page * kBlockBytes, kFileBytesMax);
    put_inode(inode.ino, item);
    lose(Code::item_owner, "{}: owner, permissions, size and times; made anew as mode 0{:o}",
         by_name ? path(inode.ino) : fmt::format("inode {}", inode.ino), item.mode);
  }
}

void RepairNames::fix_root() {
  RepairInode* root = tables_.find(kRootIno.v);
  InodeItem item;
  if (root != nullptr && root->stored) item = root->item;
  const bool directory = known_type(item.mode) && S_ISDIR(item.mode);
  if (directory && item.mnode == kRootMnode && item.parent_ino == kRootIno &&
      item.parent_mnode == kRootMnode) {
    return;
  }
  if (root == nullptr || !root->stored) {
    item.mode = S_IFDIR | 0755;
    item.nlink = 2;
  }
  if (!known_type(item.mode) || !S_ISDIR(item.mode)) item.mode = S_IFDIR | (item.mode & 07777);
  item.mnode = kRootMnode;
  item.parent_ino = kRootIno;
  item.parent_mnode = kRootMnode;
  put_inode(kRootIno.v, item);
  done(Code::root, "made inode 1 a root directory");
}

void RepairNames::fix_modes() {
  std::unordered_map<uint64_t, uint8_t> types;  // by names, of inodes whose mode is of no type
  for (const RepairInode& inode : tables_.inodes) {
    if (inode.stored && !known_type(inode.item.mode)) types.emplace(inode.ino, uint8_t{0});
  }
  if (types.empty()) return;
  for (const RepairName& name : tables_.names) {
    const auto found = types.find(name.target.ino.v);
    if (found != types.end() && known_type(uint32_t{name.target.type} << 12)) {
      found->second = name.target.type;
    }
  }
  for (const auto& [ino, type] : types) {
    if (ino == kRootIno.v) continue;
    const RepairInode& inode = *tables_.find(ino);
    uint32_t format = uint32_t{type} << 12;
    if (known_type(inode.item.mode & kModeBits)) format = inode.item.mode & S_IFMT;
    if (inode.has_entries) format = S_IFDIR;
    if (format == 0) format = S_IFREG;
    InodeItem item = inode.item;
    item.mode = format | (item.mode & 07777);
    put_inode(ino, item);
    done(Code::inode_mode, "{}: mode 0{:o} made 0{:o}", path(ino), inode.item.mode, item.mode);
  }
}

// Of two inodes with one number, the one keeps it that a name calls so.
void RepairNames::fix_double_mnodes() {
  std::unordered_map<uint64_t, uint64_t> owners;  // mnode, ino
  std::vector<uint64_t> doubles;                  // inos
  for (const RepairInode& inode : tables_.inodes) {
    if (!inode.stored) continue;
    const auto [place, first] = owners.emplace(inode.item.mnode.v, inode.ino);
    if (first) continue;
    doubles.push_back(inode.ino);
    doubles.push_back(place->second);
  }
  if (doubles.empty()) return;
  std::unordered_map<uint64_t, uint64_t> called;  // ino, mnode by its first name
  for (const RepairName& name : tables_.names) {
    called.emplace(name.target.ino.v, name.target.mnode.v);
  }
  std::sort(doubles.begin(), doubles.end());
  doubles.erase(std::unique(doubles.begin(), doubles.end()), doubles.end());
  std::unordered_set<uint64_t> kept;
  const auto right = [&](const RepairInode& inode) {
    const auto name = called.find(inode.ino);
    return inode.ino == kRootIno.v ||
           (name != called.end() && name->second == inode.item.mnode.v);
  };
  for (const uint64_t ino : doubles) {
    if (right(*tables_.find(ino))) kept.insert(tables_.find(ino)->item.mnode.v);
  }
  std::unordered_set<uint64_t> given;
  for (const uint64_t ino : doubles) {
    RepairInode& inode = *tables_.find(ino);
    const bool may_keep = right(inode) || kept.count(inode.item.mnode.v) == 0;
    if (may_keep && given.insert(inode.item.mnode.v).second) continue;
    InodeItem item = inode.item;
    const auto name = called.find(ino);
    const bool old = name != called.end() && name->second != 0 &&
                     name->second < kMnodeNoLimit && owners.count(name->second) == 0;
    item.mnode = old ? MnodeNo(name->second) : new_mnode();
    owners.emplace(item.mnode.v, ino);
    done(Code::mnode_double, "{}: mnode number {} made {}", path(ino), inode.item.mnode.v,
         item.mnode.v);
    inode.item = item;
    put_inode(ino, item);
  }
}

// Names under a wrong hash come under the right one.
Status RepairNames::fix_hashes() {
  struct Misplaced {
    uint64_t dir;
    Dirent entry;
  };
  std::vector<Misplaced> misplaced;
  std::vector<Dirent> entries;
  ByteVector value;
  SCALEFS_TRY_VOID(tree_.visit(Key(1, 0, 0), Key::end(), [&](const Key& key, ConstBytes from) {
    if (key.type != static_cast<uint8_t>(ItemType::dirent)) return Status();
    if (!decode_dirents(key.offset, from, &entries).ok()) return Status();
    for (const Dirent& entry : entries) {
      if (siphash24(sb_.hash_key, entry.name) != key.offset) {
        misplaced.push_back({key.ino, entry});
      }
    }
    return Status();
  }));
  for (const Misplaced& m : misplaced) {
    const Key key(Ino(m.dir), ItemType::dirent, m.entry.hash);
    SCALEFS_TRY(const bool found, tree_.find(key, &value));
    if (!found || !decode_dirents(m.entry.hash, value, &entries).ok()) continue;
    std::erase_if(entries, [&](const Dirent& e) { return e.name == m.entry.name; });
    if (entries.empty()) {
      SCALEFS_TRY_VOID(tree_.erase(key));
    } else {
      value.clear();
      encode_dirents(entries, &value);
      SCALEFS_TRY_VOID(tree_.put(key, value));
    }
    ++log_.names_removed[m.dir];
    changed_ = true;
    SCALEFS_TRY(const bool added, add_name(m.dir, m.entry.name, m.entry.target));
    const std::string dir = path(m.dir);
    if (added) {
      done(Code::dirent_hash, "{}: name \"{}\" put under its hash", dir, m.entry.name);
    } else {
      lose(Code::dirent_hash, "{}: a second name \"{}\"", dir, m.entry.name);
    }
  }
  return {};
}

void RepairNames::fix_targets() {
  for (RepairName& name : tables_.names) {
    const RepairInode* target = tables_.find(name.target.ino.v);
    if (target == nullptr || target->ino == kRootIno.v) {
      lose(Code::dirent_target, "{} (inode {} {})", name_text(name), name.target.ino.v,
           target == nullptr ? "is not there" : "is the root");
      remove_name(name);
      continue;
    }
    const uint32_t type = target->item.mode >> 12;
    if (!target->stored || !known_type(target->item.mode)) continue;
    if (target->item.mnode == name.target.mnode && type == name.target.type) continue;
    done(type == name.target.type ? Code::dirent_mnode : Code::dirent_type,
         "{}: the name now says type {} and mnode {}, as inode {} is", name_text(name), type,
         target->item.mnode.v, target->ino);
    name.target.mnode = target->item.mnode;
    name.target.type = static_cast<uint8_t>(type);
    name_edits_.push_back({name.dir, name.hash, name.ordinal, false, name.target});
  }
}

// A directory stays in the place that it says, else in the first one.
void RepairNames::fix_places() {
  std::unordered_map<uint64_t, std::vector<RepairName*>> places;
  count_names();
  for (RepairName& name : tables_.names) {
    const RepairInode* target = tables_.find(name.target.ino.v);
    if (name.gone || target == nullptr || !S_ISDIR(target->item.mode) || target->names < 2) continue;
    places[target->ino].push_back(&name);
  }
  for (auto& [ino, names] : places) {
    const uint64_t parent = tables_.find(ino)->item.parent_ino.v;
    size_t keep = 0;
    for (size_t i = names.size(); i-- > 0;) {
      if (names[i]->dir == parent) keep = i;
    }
    for (size_t i = 0; i < names.size(); ++i) {
      if (i == keep) continue;
      done(Code::dir_names, "removed {}, a second name of directory {}", name_text(*names[i]), ino);
      remove_name(*names[i]);
    }
  }
}

Status RepairNames::apply_name_edits() {
  std::stable_sort(name_edits_.begin(), name_edits_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.dir, a.hash, a.ordinal) < std::tie(b.dir, b.hash, b.ordinal);
  });
  std::vector<Dirent> entries;
  for (size_t i = 0; i < name_edits_.size();) {
    const Key key(Ino(name_edits_[i].dir), ItemType::dirent, name_edits_[i].hash);
    ByteVector value;
    SCALEFS_TRY(const bool found, tree_.find(key, &value));
    const bool usable = found && decode_dirents(key.offset, value, &entries).ok();
    std::vector<bool> gone(entries.size());
    for (; i < name_edits_.size() && name_edits_[i].dir == key.ino &&
           name_edits_[i].hash == key.offset;
         ++i) {
      const NameEdit& edit = name_edits_[i];
      if (!usable || edit.ordinal >= entries.size()) continue;
      if (edit.remove) gone[edit.ordinal] = true;
      else entries[edit.ordinal].target = edit.target;
    }
    if (!usable) continue;
    std::vector<Dirent> kept;
    for (size_t e = 0; e < entries.size(); ++e) {
      if (!gone[e]) kept.push_back(std::move(entries[e]));
    }
    changed_ = true;
    if (kept.empty()) {
      SCALEFS_TRY_VOID(tree_.erase(key));
      continue;
    }
    value.clear();
    encode_dirents(kept, &value);
    SCALEFS_TRY_VOID(tree_.put(key, value));
  }
  name_edits_.clear();
  return {};
}

Status RepairNames::fix_names() {
  count_names();
  make_missing_inodes();
  fix_root();
  fix_modes();
  if (!edits_.empty()) return {};  // names are looked at when inodes are right
  fix_double_mnodes();
  if (!edits_.empty()) return {};
  fix_targets();
  fix_places();
  SCALEFS_TRY_VOID(apply_name_edits());
  if (!changed_) SCALEFS_TRY_VOID(fix_hashes());
  return {};
}

Result<bool> RepairNames::run() {
  const auto edited = [this] { return changed_ || !edits_.empty(); };
  SCALEFS_TRY_VOID(fix_names());
  if (edited()) return true;
  SCALEFS_TRY_VOID(find_lost());
  if (edited()) return true;
  fix_counts();
  fix_orphans();
  fix_numbers();
  return edited();
}

}  // namespace scalefs::diskfs
