// A simple file system of maps, as reference for the apply function: it gets the same operations and
// must agree with what a reader finds in the tree.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "diskfs/apply.h"
#include "diskfs/items.h"

namespace scalefs::diskfs {

struct ModelPage {
  Mapping::Kind kind = Mapping::Kind::unwritten;  // inline_data: by content, wherever it is stored
  uint64_t block = 0;
  uint32_t crc = 0;
  ByteVector content;
};

struct ModelInode {
  InodeItem item;
  std::map<uint64_t, ModelPage> pages;
  std::map<std::pair<uint64_t, std::string>, DirentTarget> entries;
  std::map<std::string, ByteVector> xattrs;
};

class ApplyModel final : public BatchVisitor {
 public:
  Status put_inode(Ino ino, const InodeItem& item) override {
    inodes[ino.v].item = item;
    recycled.erase(ino.v);
    return {};
  }
  Status delete_inode(Ino ino) override {
    if (inodes.erase(ino.v)) recycled.insert(ino.v);
    orphans.erase(ino.v);
    return {};
  }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const DirentTarget& target) override {
    inodes.at(dir.v).entries[{hash, std::string(name)}] = target;
    return {};
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    if (inodes.contains(dir.v)) inodes[dir.v].entries.erase({hash, std::string(name)});
    return {};
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first,
                    std::span<const uint32_t> crcs) override {
    for (size_t i = 0; i < crcs.size(); ++i) {
      inodes.at(ino.v).pages[page + i] = {Mapping::Kind::extent, first.v + i, crcs[i], {}};
    }
    return {};
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    for (uint64_t i = 0; i < count; ++i) inodes.at(ino.v).pages.try_emplace(page + i);
    return {};
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    ByteVector bytes(content.begin(), content.end());
    bytes.resize(kBlockBytes);
    inodes.at(ino.v).pages[page] = {Mapping::Kind::inline_data, 0, 0, std::move(bytes)};
    return {};
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    if (!inodes.contains(ino.v)) return {};
    auto& pages = inodes[ino.v].pages;
    pages.erase(pages.lower_bound(from), pages.lower_bound(to));
    return {};
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    inodes.at(ino.v).xattrs[std::string(name)].assign(value.begin(), value.end());
    return {};
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    if (inodes.contains(ino.v)) inodes[ino.v].xattrs.erase(std::string(name));
    return {};
  }
  Status put_orphan(Ino ino) override {
    orphans.insert(ino.v);
    return {};
  }
  Status del_orphan(Ino ino) override {
    orphans.erase(ino.v);
    return {};
  }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    auto& mark = marks[slot];
    mark = std::max(mark, counter);
    return {};
  }

  std::map<uint64_t, ModelInode> inodes;
  std::set<uint64_t> recycled;
  std::set<uint64_t> orphans;
  std::map<uint32_t, uint64_t> marks;
};

// Keeps the set of referenced blocks; every report must change it.
class ModelSink final : public SpaceSink {
 public:
  Status referenced(BlockRun run) override {
    for (uint64_t i = 0; i < run.count; ++i) {
      EXPECT_TRUE(blocks.insert(run.first.v + i).second) << "block referenced twice";
    }
    return {};
  }
  Status unreferenced(BlockRun run) override {
    for (uint64_t i = 0; i < run.count; ++i) {
      EXPECT_EQ(blocks.erase(run.first.v + i), 1u) << "block freed that was not referenced";
    }
    freed += run.count;
    return {};
  }
  std::set<uint64_t> blocks;
  uint64_t freed = 0;  // reports, also of blocks that are referenced again
};

}  // namespace scalefs::diskfs
