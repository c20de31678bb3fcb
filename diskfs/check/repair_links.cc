// RepairNames: inodes that nothing leads to, and counts.
#include <fmt/format.h>
#include <sys/stat.h>

#include <unordered_map>

#include "base/core.h"
#include "base/hash.h"
#include "diskfs/batch_format.h"
#include "diskfs/check/repair_names_log.h"

namespace scalefs::diskfs {

bool RepairNames::has_orphan_item(uint64_t ino) const {
  return std::binary_search(tables_.orphans.begin(), tables_.orphans.end(), ino);
}

void RepairNames::count_names() {
  for (RepairInode& inode : tables_.inodes) {
    inode.names = inode.subdirs = 0;
    inode.named_in = inode.named_hash = 0;
  }
  for (const RepairName& name : tables_.names) {
    RepairInode* const target = tables_.find(name.target.ino.v);
    if (name.gone || target == nullptr) continue;
    if (target->names++ == 0) {
      target->named_in = name.dir;
      target->named_hash = name.hash;
    }
    RepairInode* const dir = tables_.find(name.dir);
    if (dir != nullptr && S_ISDIR(target->item.mode)) ++dir->subdirs;
  }
}

// --- lost

// A directory whose way up comes back to itself loses its name, at the lowest number of the circle.
void RepairNames::cut_circles() {
  enum : uint8_t { unknown, on_path, settled };
  std::vector<uint8_t> state(tables_.inodes.size(), unknown);
  const auto index = [&](const RepairInode* r) {
    return static_cast<size_t>(r - tables_.inodes.data());
  };
  std::vector<RepairInode*> path;
  for (RepairInode& start : tables_.inodes) {
    if (!S_ISDIR(start.item.mode) || state[index(&start)] != unknown) continue;
    path.clear();
    RepairInode* at = &start;
    while (at != nullptr && state[index(at)] == unknown) {
      state[index(at)] = on_path;
      path.push_back(at);
      at = at->ino == kRootIno.v || at->named_in == 0 ? nullptr : tables_.find(at->named_in);
    }
    if (at != nullptr && state[index(at)] == on_path) {
      RepairInode* lowest = at;
      const auto begin = std::find(path.begin(), path.end(), at);
      for (auto it = begin; it != path.end(); ++it) {
        if ((*it)->ino < lowest->ino) lowest = *it;
      }
      for (RepairName& name : tables_.names) {
        if (name.target.ino.v != lowest->ino || name.gone) continue;
        done(Code::unreachable, "directory {} was inside itself; took it out of directory {}",
             lowest->ino, name.dir);
        remove_name(name);
      }
    }
    for (RepairInode* dir : path) state[index(dir)] = settled;
  }
}

Result<RepairInode*> RepairNames::lost_and_found() {
  for (int i = 0; i < 100; ++i) {
    const std::string name = i == 0 ? "lost+found" : fmt::format("lost+found.{}", i);
    const uint64_t hash = siphash24(sb_.hash_key, name);
    ByteVector value;
    std::vector<Dirent> entries;
    SCALEFS_TRY(const bool found,
                tree_.find(Key(kRootIno, ItemType::dirent, hash), &value));
    if (found && decode_dirents(hash, value, &entries).ok()) {
      const auto entry = std::find_if(entries.begin(), entries.end(),
                                      [&](const Dirent& e) { return e.name == name; });
      if (entry != entries.end()) {
        RepairInode* const there = tables_.find(entry->target.ino.v);
        if (there != nullptr && S_ISDIR(there->item.mode)) return there;
        if (made_.size() == 1 && made_[0].ino == entry->target.ino.v) return &made_[0];
        continue;
      }
    }
    RepairInode& dir = made_.emplace_back();
    while (tables_.find(next_ino_) != nullptr) ++next_ino_;
    if (next_ino_ > kInoMax) return Errno(ENOSPC);
    dir.ino = next_ino_++;
    dir.stored = true;
    dir.item.mnode = new_mnode();
    dir.item.mode = S_IFDIR | 0700;
    dir.item.nlink = 2;
    dir.item.parent_ino = kRootIno;
    dir.item.parent_mnode = kRootMnode;
    put_inode(dir.ino, dir.item);
    SCALEFS_TRY(const bool added,
                add_name(kRootIno.v, name, {Ino(dir.ino), dir.item.mnode, S_IFDIR >> 12}));
    if (!added) return Errno(EUCLEAN);
    return &dir;
  }
  return Errno(EUCLEAN);
}

Status RepairNames::reconnect(RepairInode& inode) {
  SCALEFS_TRY(RepairInode* const home, lost_and_found());
  const DirentTarget target{Ino(inode.ino), inode.item.mnode,
                            static_cast<uint8_t>(inode.item.mode >> 12)};
  for (int i = 0; i < 1000; ++i) {
    std::string name = fmt::format("#{}", inode.item.mnode.v);
    if (i > 0) name += fmt::format(".{}", i);
    SCALEFS_TRY(const bool added, add_name(home->ino, name, target));
    if (!added) continue;
    if (S_ISDIR(inode.item.mode)) {
      InodeItem item = inode.item;
      item.parent_ino = Ino(home->ino);
      item.parent_mnode = home->item.mnode;
      put_inode(inode.ino, item);
    }
    if (has_orphan_item(inode.ino)) {
      edits_.erase.emplace_back(Ino(), ItemType::orphan, inode.ino);
    }
    done(Code::unreachable, "inode {} had no name; it is /lost+found/{} now", inode.ino, name);
    return {};
  }
  return Errno(EUCLEAN);
}

Status RepairNames::find_lost() {
  count_names();
  cut_circles();
  SCALEFS_TRY_VOID(apply_name_edits());
  if (changed_) return {};
  for (RepairInode& inode : tables_.inodes) {
    if (inode.names > 0 || inode.ino == kRootIno.v) continue;
    // What was removed while it was open has no name, and is no loss.
    const bool removed = has_orphan_item(inode.ino) || inode.item.nlink == 0;
    if (removed && inode.entries == 0) continue;
    SCALEFS_TRY_VOID(reconnect(inode));
  }
  return {};
}

// --- counts

void RepairNames::fix_counts() {
  for (RepairInode& inode : tables_.inodes) {
    InodeItem item = inode.item;
    const bool dir = S_ISDIR(item.mode);
    const bool root = inode.ino == kRootIno.v;
    item.nlink = inode.names;
    if (dir) item.nlink = inode.names > 0 || root ? 2 + inode.subdirs : 0;
    item.blocks = inode.pages;
    item.entries = inode.entries;
    if (!dir) {
      item.parent_ino = Ino();
      item.parent_mnode = MnodeNo();
    } else if (inode.names > 0) {
      item.parent_ino = Ino(inode.named_in);
      const RepairInode* const parent = tables_.find(inode.named_in);
      if (parent != nullptr) item.parent_mnode = parent->item.mnode;
    }
    if (S_ISLNK(item.mode) && (item.size == 0 || item.size > kSymlinkBytesMax)) {
      item.size = inode.link_bytes;
      if (item.size == 0) {
        lose(Code::inode_size, "{}: the symbolic link has no target", path(inode.ino));
        edits_.erase_inodes.push_back(inode.ino);
        continue;
      }
    }
    if (item.blocks < inode.item.blocks) {
      lose(Code::inode_pages, "{}: {} of {} mapped pages", path(inode.ino),
           inode.item.blocks - item.blocks, inode.item.blocks);
    }
    const int64_t change = log_.names_removed[inode.ino];
    const uint64_t entries = item.entries + static_cast<uint64_t>(change);
    if (static_cast<int64_t>(entries) < static_cast<int64_t>(inode.item.entries)) {
      lose(Code::dir_entries, "{}: {} of {} names", path(inode.ino), inode.item.entries - entries,
           inode.item.entries);
    }
    if (item == inode.item) continue;
    if (item.nlink != inode.item.nlink) {
      done(Code::link_count, "{}: {} links made {}", path(inode.ino), inode.item.nlink, item.nlink);
    } else if (item.parent_ino != inode.item.parent_ino ||
               item.parent_mnode != inode.item.parent_mnode) {
      done(Code::dir_parent, "{}: parent made inode {}", path(inode.ino), item.parent_ino.v);
    } else if (item.size != inode.item.size) {
      done(Code::inode_size, "{}: size {} made {}", path(inode.ino), inode.item.size, item.size);
    } else {
      done(Code::inode_pages, "{}: counts corrected", path(inode.ino));
    }
    put_inode(inode.ino, item);
  }
  log_.names_removed.clear();  // the counts that are stored take them in
}

void RepairNames::fix_orphans() {
  for (const uint64_t ino : tables_.orphans) {
    const RepairInode* const inode = tables_.find(ino);
    if (inode != nullptr && inode->names == 0 && ino != kRootIno.v) continue;
    edits_.erase.emplace_back(Ino(), ItemType::orphan, ino);
    done(inode == nullptr ? Code::orphan_missing : Code::orphan_linked,
         "took inode {} off the list of orphans", ino);
  }
  for (const RepairInode& inode : tables_.inodes) {
    if (inode.names > 0 || inode.ino == kRootIno.v || has_orphan_item(inode.ino)) continue;
    edits_.put.push_back({Key(Ino(), ItemType::orphan, inode.ino), {}});
    done(Code::orphan_unlisted, "put inode {} on the list of orphans", inode.ino);
  }
}

void RepairNames::fix_numbers() {
  for (const RepairInode& inode : tables_.inodes) {
    next_ino_ = std::max(next_ino_, inode.ino + 1);
  }
  for (const uint64_t ino : tables_.recycled) {
    if (ino < next_ino_ && tables_.find(ino) == nullptr) continue;
    edits_.erase.emplace_back(Ino(), ItemType::recycled_ino, ino);
    done(Code::ino_recycled, "took number {} off the list for reuse", ino);
  }
  std::map<uint64_t, uint64_t> needed;
  for (const RepairInode& inode : tables_.inodes) {
    if (inode.ino == kRootIno.v) continue;
    uint64_t& mark = needed[inode.item.mnode.v % kCoresMax];
    mark = std::max(mark, (inode.item.mnode.v >> kCoreBits) + 1);
  }
  for (const auto& [slot, mark] : needed) {
    const auto found = tables_.marks.find(slot);
    if (found != tables_.marks.end() && found->second >= mark) continue;
    ByteVector value;
    encode_mnode_mark(mark, &value);
    edits_.put.push_back({Key(Ino(), ItemType::mnode_mark, slot), std::move(value)});
    done(Code::mnode_mark, "raised the mark of slot {} to {}", slot, mark);
  }
}

}  // namespace scalefs::diskfs
