// Changes an unmounted volume below its rules, for tests that want one thing wrong and all else
// right: items of the tree, the maps and the superblock can be changed freely; nodes, checksums,
// maps and superblock are then written as a checkpoint writes them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "diskfs/items.h"
#include "diskfs/node_store.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

class ImageSurgeon {
 public:
  // The journal must be empty. Every failing call is a failure of the running test.
  explicit ImageSurgeon(BlockDevice& device) : device_(device) {
    std::string why;
    auto newest = read_newest_superblock(device, &why);
    EXPECT_TRUE(newest.ok()) << why;
    sb = *newest;
    store_ = std::make_unique<NodeStore>(device, sb.uuid.data(), sb.hash_key);
    tree_ = std::make_unique<TreeWriter>(*store_, sb.root);
    auto loaded = SpaceMap::load(device, sb, &why);
    EXPECT_TRUE(loaded.ok()) << why;
    map = std::move(*loaded);
  }

  ByteVector get(const Key& key) {
    ByteVector value;
    auto found = tree_->find(key, &value);
    EXPECT_TRUE(found.ok() && *found);
    return value;
  }
  void put(const Key& key, const ByteVector& value) { EXPECT_TRUE(tree_->put(key, value).ok()); }
  void erase(const Key& key) {
    auto erased = tree_->erase(key);
    EXPECT_TRUE(erased.ok() && *erased);
  }
  void edit_inode(Ino ino, const std::function<void(InodeItem&)>& change) {
    InodeItem item;
    EXPECT_TRUE(decode_inode(get(Key(ino, ItemType::inode, 0)), &item).ok());
    change(item);
    ByteVector value;
    encode_inode(item, &value);
    put(Key(ino, ItemType::inode, 0), value);
  }
  void edit_names(Ino dir, uint64_t hash, const std::function<void(std::vector<Dirent>&)>& change) {
    std::vector<Dirent> entries;
    EXPECT_TRUE(decode_dirents(hash, get(Key(dir, ItemType::dirent, hash)), &entries).ok());
    change(entries);
    ByteVector value;
    encode_dirents(entries, &value);
    put(Key(dir, ItemType::dirent, hash), value);
  }
  uint64_t hash(std::string_view name) const { return siphash24(sb.hash_key, name); }

  // Writes it all as the next generation.
  void finish() {
    ++sb.generation;
    uint64_t next = sb.geometry.data_end;
    auto allocate = [&](uint64_t) -> Result<BlockRun> {
      do {
        --next;
      } while (map->test(BlockNo(next)));
      return BlockRun{BlockNo(next), 1};
    };
    auto write = [&](BlockNo first, ConstBytes from) { return device_.write(first, from); };
    auto written = tree_->write_out(allocate, write, sb.generation);
    ASSERT_TRUE(written.ok());
    for (BlockRun run : written->used) ASSERT_TRUE(map->set(run).ok());
    for (BlockRun run : written->replaced) ASSERT_TRUE(map->clear(run).ok());
    sb.root = written->root;
    auto table = map->write(device_, sb.generation);
    ASSERT_TRUE(table.ok());
    sb.table = *table;
    sb.free_blocks = map->free_blocks();
    if (edit_superblock) edit_superblock(sb);
    ASSERT_TRUE(write_superblock(device_, sb).ok());
  }

  Superblock sb;
  std::unique_ptr<SpaceMap> map;
  std::function<void(Superblock&)> edit_superblock;  // just before it is written

 private:
  BlockDevice& device_;
  std::unique_ptr<NodeStore> store_;
  std::unique_ptr<TreeWriter> tree_;
};

}  // namespace scalefs::diskfs
