#include "diskfs/check/links.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include "base/core.h"

namespace scalefs::diskfs {

namespace {

class Links {
 public:
  Links(InodeTable& table, const Superblock& sb, bool complete, Findings& findings)
      : table_(table), sb_(sb), complete_(complete), findings_(findings) {}

  void run() {
    for (const NameRecord& name : table_.names) check_name(name);
    check_root();
    if (complete_) {
      for (const InodeRecord& inode : table_.inodes) check_count(inode);
      check_orphans();
      check_reachability();
    }
    check_numbers();
    check_mnodes();
  }

 private:
  template <class... Args>
  void add(Code code, fmt::format_string<Args...> format, Args&&... args) {
    findings_.add(code, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_name(const NameRecord& name);
  void check_root();
  void check_count(const InodeRecord& inode);
  void check_orphans();
  void check_reachability();
  void check_numbers();
  void check_mnodes();

  InodeTable& table_;
  const Superblock& sb_;
  bool complete_;
  Findings& findings_;
};

void Links::check_name(const NameRecord& name) {
  InodeRecord* target = table_.find(name.ino);
  if (target == nullptr) {
    if (complete_) {
      add(Code::dirent_target, "directory {} has an entry for inode {}, which is not there",
          name.dir, name.ino);
    }
    return;
  }
  if (target->mnode != name.mnode) {
    add(Code::dirent_mnode, "directory {} calls inode {} mnode {}, it is {}", name.dir, name.ino,
        name.mnode, target->mnode);
  }
  if (target->mode >> 12 != name.type) {
    add(Code::dirent_type, "directory {} says that inode {} is of type {}, it is {}", name.dir,
        name.ino, name.type, target->mode >> 12);
  }
  ++target->names;
  if (!S_ISDIR(target->mode)) return;
  target->named_in = name.dir;
  InodeRecord* dir = table_.find(name.dir);
  if (dir != nullptr) ++dir->subdirs;
  bool right = target->parent_ino == name.dir && (!dir || target->parent_mnode == dir->mnode);
  if (!right) {
    add(Code::dir_parent, "directory {} is in {}, but says that its parent is {} (mnode {})",
        target->ino, name.dir, target->parent_ino, target->parent_mnode);
  }
}

void Links::check_root() {
  const InodeRecord* root = table_.find(kRootIno.v);
  if (root == nullptr) {
    if (complete_) add(Code::root, "there is no root directory (inode {})", kRootIno.v);
    return;
  }
  if (!S_ISDIR(root->mode) || root->mnode != kRootMnode.v || root->parent_ino != kRootIno.v ||
      root->parent_mnode != kRootMnode.v || root->names != 0) {
    add(Code::root, "inode {} is not a root directory: mode 0{:o}, mnode {}, parent {}, {} names",
        root->ino, root->mode, root->mnode, root->parent_ino, root->names);
  }
}

// A directory's count is 2 and one for each directory in it, while it has a name; else 0.
void Links::check_count(const InodeRecord& inode) {
  bool is_root = inode.ino == kRootIno.v;
  uint32_t expected = inode.names;
  if (S_ISDIR(inode.mode)) {
    expected = inode.names > 0 || is_root ? 2 + inode.subdirs : 0;
    if (inode.names > 1) {
      add(Code::dir_names, "directory {} has {} names", inode.ino, inode.names);
    }
  }
  if (inode.nlink != expected) {
    add(Code::link_count, "inode {} has {} links, its attributes say {}", inode.ino, expected,
        inode.nlink);
  }
}

void Links::check_orphans() {
  for (uint64_t ino : table_.orphans) {
    const InodeRecord* inode = table_.find(ino);
    if (inode == nullptr) {
      add(Code::orphan_missing, "the orphan list has inode {}, which is not there", ino);
    } else if (inode->nlink != 0) {
      add(Code::orphan_linked, "the orphan list has inode {}, which has {} links", ino,
          inode->nlink);
    }
  }
  for (const InodeRecord& inode : table_.inodes) {
    bool listed = std::binary_search(table_.orphans.begin(), table_.orphans.end(), inode.ino);
    if (inode.nlink == 0 && !listed) {
      add(Code::orphan_unlisted, "inode {} has no links and is not on the orphan list", inode.ino);
    }
  }
}

// Follows each directory upwards until a directory whose fate is known; a chain that comes back to
// itself, or ends without a name, does not reach the root. Files hang where their directory hangs.
void Links::check_reachability() {
  enum class Fate : uint8_t { unknown, on_path, reached, lost };
  std::vector<Fate> fates(table_.inodes.size(), Fate::unknown);
  std::vector<size_t> path;
  auto index_of = [&](const InodeRecord* r) { return static_cast<size_t>(r - &table_.inodes[0]); };
  for (InodeRecord& start : table_.inodes) {
    if (!S_ISDIR(start.mode) || fates[index_of(&start)] != Fate::unknown) continue;
    path.clear();
    InodeRecord* at = &start;
    Fate fate = Fate::lost;
    while (at != nullptr && fates[index_of(at)] == Fate::unknown) {
      fates[index_of(at)] = Fate::on_path;
      path.push_back(index_of(at));
      if (at->ino == kRootIno.v) {
        fate = Fate::reached;
        break;
      }
      at = at->named_in == 0 ? nullptr : table_.find(at->named_in);
    }
    if (at != nullptr && fates[index_of(at)] == Fate::reached) fate = Fate::reached;
    for (size_t index : path) fates[index] = fate;
  }
  for (const InodeRecord& inode : table_.inodes) {
    if (!S_ISDIR(inode.mode) || inode.nlink == 0) continue;
    if (fates[index_of(&inode)] == Fate::lost) {
      add(Code::unreachable, "directory {} (named in {}) is not reached from the root", inode.ino,
          inode.named_in);
    }
  }
}

void Links::check_numbers() {
  for (const InodeRecord& inode : table_.inodes) {
    if (inode.ino >= sb_.next_ino) {
      add(Code::sb_next_ino, "inode {} is in use; numbers are given out up to {}", inode.ino,
          sb_.next_ino - 1);
    }
  }
  for (uint64_t ino : table_.recycled) {
    if (ino == 0 || ino >= sb_.next_ino || table_.find(ino) != nullptr) {
      add(Code::ino_recycled, "inode number {} is listed for reuse, but {}", ino,
          table_.find(ino) != nullptr ? "is in use" : "was never given out");
    }
  }
  if (!complete_) return;
  if (table_.inodes.size() != sb_.inode_count) {
    add(Code::sb_inodes, "there are {} inodes, the superblock says {}", table_.inodes.size(),
        sb_.inode_count);
  }
  if (table_.recycled.size() != sb_.free_ino_count) {
    add(Code::sb_free_inos, "{} inode numbers wait for reuse, the superblock says {}",
        table_.recycled.size(), sb_.free_ino_count);
  }
}

void Links::check_mnodes() {
  std::vector<std::pair<uint64_t, uint64_t>> mnodes;  // mnode, ino
  mnodes.reserve(table_.inodes.size());
  for (const InodeRecord& inode : table_.inodes) {
    mnodes.emplace_back(inode.mnode, inode.ino);
    if (inode.ino == kRootIno.v || !complete_) continue;
    uint64_t slot = inode.mnode % kCoresMax;
    uint64_t mark = slot < table_.marks.size() ? table_.marks[slot] : 0;
    if (inode.mnode >> kCoreBits >= mark) {
      add(Code::mnode_mark, "inode {} is mnode {}, above the mark {} of slot {}", inode.ino,
          inode.mnode, mark, slot);
    }
  }
  std::sort(mnodes.begin(), mnodes.end());
  for (size_t i = 1; i < mnodes.size(); ++i) {
    if (mnodes[i].first == mnodes[i - 1].first) {
      add(Code::mnode_double, "inodes {} and {} are both mnode {}", mnodes[i - 1].second,
          mnodes[i].second, mnodes[i].first);
    }
  }
}

}  // namespace

void check_links(InodeTable& table, const Superblock& sb, bool complete, Findings& findings) {
  Links(table, sb, complete, findings).run();
}

}  // namespace scalefs::diskfs
