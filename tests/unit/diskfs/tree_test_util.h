// A tree on a memory device, with a bump allocator that never reuses a block unless it is told to.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/random.h"
#include "diskfs/memory_device.h"
#include "diskfs/tree_cursor.h"
#include "diskfs/tree_walk.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

inline constexpr uint8_t kTestUuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
inline constexpr HashKey kTestHashKey{0x1122334455667788, 0x99aabbccddeeff00};

using ItemMap = std::map<Key, std::vector<std::byte>>;

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

class TreeBench {
 public:
  explicit TreeBench(uint64_t blocks = 1u << 20, const NodeStore::Options& options = {})
      : device(blocks), store(device, kTestUuid, kTestHashKey, options) {}

  // Blocks in runs of at most `run_max`.
  TreeWriter::Allocate allocate() {
    return [this](uint64_t want) -> Result<BlockRun> {
      const uint64_t count = std::min(want, run_max);
      const BlockRun run{BlockNo(next_block), count};
      next_block += count + (run_max < 64 ? 1 : 0);
      if (next_block > device.block_count()) return Errno(ENOSPC);
      return run;
    };
  }
  TreeWriter::Write write() {
    return [this](BlockNo first, ConstBytes from) {
      for (uint64_t i = 0; i < from.size() / kBlockBytes; ++i) {
        EXPECT_FALSE(in_use.contains(first.v + i)) << "block in use is overwritten";
      }
      ++writes;
      return device.write(first, from);
    };
  }

  // Ends a checkpoint of `writer`; the blocks in use are kept in `in_use`.
  TreeRoot checkpoint(TreeWriter& writer) {
    const uint64_t dirty = writer.dirty_nodes();
    auto out = writer.write_out(allocate(), write(), ++generation);
    EXPECT_TRUE(out.ok());
    uint64_t used = 0;
    for (const BlockRun& run : out->used) {
      for (uint64_t i = 0; i < run.count; ++i) {
        EXPECT_TRUE(in_use.insert(run.first.v + i).second);
      }
      used += run.count;
    }
    EXPECT_EQ(used, out->nodes_written);
    EXPECT_EQ(dirty, out->nodes_written);
    for (const BlockRun& run : out->replaced) {
      for (uint64_t i = 0; i < run.count; ++i) EXPECT_EQ(in_use.erase(run.first.v + i), 1u);
    }
    return out->root;
  }

  MemoryDevice device;
  NodeStore store;
  uint64_t next_block = 100;
  uint64_t run_max = 64;
  uint64_t generation = 0;
  uint64_t writes = 0;
  std::set<uint64_t> in_use;  // nodes of the newest tree
};

// Reads a whole tree and checks its shape; the blocks it consists of into `blocks`.
class TreeCollector : public TreeWalkVisitor {
 public:
  bool node(const NodeInfo& info) override {
    EXPECT_EQ(info.fault, NodeFault::none) << node_fault_name(info.fault);
    blocks.insert(info.block.v);
    ++levels[info.level];
    return true;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    EXPECT_TRUE(items.emplace(key, std::vector<std::byte>(value.begin(), value.end())).second);
    return true;
  }
  ItemMap items;
  std::set<uint64_t> blocks;
  std::map<uint32_t, uint64_t> levels;
};

inline TreeCollector collect_tree(NodeStore& store, const TreeRoot& root) {
  TreeCollector collector;
  EXPECT_TRUE(walk_tree(store, root, collector).ok());
  return collector;
}

}  // namespace scalefs::diskfs
