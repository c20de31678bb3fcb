// A tree of inodes in plain maps that batches are applied to, and the committed state that a
// translator reads from it: what the diskfs room does, small enough to be seen to be right.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "volume/translator.h"

namespace scalefs::volume {

struct ModelInode {
  diskfs::InodeItem item;
  std::map<uint64_t, std::string> pages;  // "b<block>:<crc>", "u", "i<bytes>"
  std::map<std::string, std::string> xattrs;
  std::map<std::string, std::pair<MnodeNo, uint8_t>> names;
  bool orphan = false;
};

class ModelTree final : public diskfs::BatchVisitor, public CommittedState {
 public:
  ModelTree() {
    diskfs::InodeItem root;
    root.mnode = kRootMnode;
    root.mode = 040755;
    root.nlink = 2;
    root.parent_mnode = kRootMnode;
    root.parent_ino = kRootIno;
    inodes[kRootIno.v].item = root;
  }

  // The translated batch becomes committed.
  void commit(const Translation& translation) {
    ASSERT_TRUE(visit_batch(translation.batch.bytes(), *this).ok());
    operations += translation.batch.op_count();
  }

  Ino ino_of(MnodeNo mnode) override {
    for (const auto& [ino, inode] : inodes) {
      if (inode.item.mnode == mnode) return Ino(ino);
    }
    return {};
  }
  Result<diskfs::InodeItem> item(Ino ino, MnodeNo mnode) override {
    const auto found = inodes.find(ino.v);
    if (found == inodes.end() || found->second.item.mnode != mnode) return Errno(ENOENT);
    return found->second.item;
  }
  Result<Ino> allocate_ino() override { return Ino(next_ino++); }

  Status put_inode(Ino ino, const diskfs::InodeItem& item) override {
    inodes[ino.v].item = item;
    return {};
  }
  Status delete_inode(Ino ino) override {
    EXPECT_EQ(inodes.count(ino.v), 1u) << "deletes inode " << ino.v << " that is not there";
    EXPECT_FALSE(inodes[ino.v].orphan) << "leaves an orphan item of " << ino.v;
    inodes.erase(ino.v);
    return {};
  }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const diskfs::DirentTarget& target) override {
    EXPECT_EQ(hash, siphash24(key, name));
    EXPECT_EQ(inodes.count(target.ino.v), 1u) << name << " names a missing inode";
    EXPECT_EQ(inodes[target.ino.v].item.mnode, target.mnode);
    at(dir).names[std::string(name)] = {target.mnode, target.type};
    return {};
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    EXPECT_EQ(hash, siphash24(key, name));
    EXPECT_EQ(at(dir).names.erase(std::string(name)), 1u) << name << " was not there";
    return {};
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first,
                    std::span<const uint32_t> crcs) override {
    for (size_t i = 0; i < crcs.size(); ++i) {
      at(ino).pages[page + i] = "b" + std::to_string(first.v + i) + ":" + std::to_string(crcs[i]);
      named.insert(first.v + i);
    }
    return {};
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    for (uint64_t i = 0; i < count; ++i) at(ino).pages.try_emplace(page + i, "u");
    return {};
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    at(ino).pages[page] =
        "i" + std::string(reinterpret_cast<const char*>(content.data()), content.size());
    return {};
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    auto& pages = at(ino).pages;
    pages.erase(pages.lower_bound(from),
                to == UINT64_MAX ? pages.end() : pages.lower_bound(to));
    return {};
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    at(ino).xattrs[std::string(name)] =
        std::string(reinterpret_cast<const char*>(value.data()), value.size());
    return {};
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    at(ino).xattrs.erase(std::string(name));
    return {};
  }
  Status put_orphan(Ino ino) override {
    EXPECT_EQ(at(ino).item.nlink, 0u);
    at(ino).orphan = true;
    return {};
  }
  Status del_orphan(Ino ino) override {
    at(ino).orphan = false;
    return {};
  }
  Status set_mnode_mark(uint32_t, uint64_t) override { return {}; }

  ModelInode& at(Ino ino) {
    EXPECT_EQ(inodes.count(ino.v), 1u) << "inode " << ino.v << " is not there";
    return inodes[ino.v];
  }
  // Everything by mnode number, which does not depend on the inode numbers given.
  std::map<uint64_t, std::string> describe() const;

  HashKey key{1, 2};
  std::map<uint64_t, ModelInode> inodes;
  std::set<uint64_t> named;
  uint64_t next_ino = 2;
  uint64_t operations = 0;
};

inline std::map<uint64_t, std::string> ModelTree::describe() const {
  std::map<uint64_t, std::string> all;
  for (const auto& [ino, inode] : inodes) {
    const diskfs::InodeItem& i = inode.item;
    std::string text = "mode " + std::to_string(i.mode) + " nlink " + std::to_string(i.nlink) +
                       " size " + std::to_string(i.size) + " times " + std::to_string(i.atime_ns) +
                       " " + std::to_string(i.mtime_ns) + " " + std::to_string(i.ctime_ns) +
                       " parent " + std::to_string(i.parent_mnode.v) +
                       (inode.orphan ? " orphan" : "");
    const auto parent = inodes.find(i.parent_ino.v);
    if (i.parent_mnode && parent != inodes.end()) {
      EXPECT_EQ(parent->second.item.mnode, i.parent_mnode);
    }
    for (const auto& [name, target] : inode.names) {
      text += "\n  " + name + " -> " + std::to_string(target.first.v);
    }
    for (const auto& [page, content] : inode.pages) {
      text += "\n  page " + std::to_string(page) + " " + content;
    }
    for (const auto& [name, value] : inode.xattrs) text += "\n  xattr " + name + "=" + value;
    all[i.mnode.v] = text;
  }
  return all;
}

}  // namespace scalefs::volume
