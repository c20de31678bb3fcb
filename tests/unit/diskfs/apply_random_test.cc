// Random histories through the apply function against the reference model.
#include "tests/support/seeds.h"
#include "tests/unit/diskfs/apply_bench.h"

namespace scalefs::diskfs {
namespace {

class History {
 public:
  History(uint64_t seed, uint64_t inodes) : random(seed), inodes_(inodes) {}

  void fill(ApplyBench& bench, Batch* batch, int operations);

  Random random;

 private:
  Ino any() { return Ino(1 + random.below(inodes_)); }
  uint64_t page() { return random.percent(20) ? 0 : random.below(300); }
  std::string name() {
    std::string text = "n" + std::to_string(random.below(40));
    if (random.percent(20)) text += std::string(60, 'x');
    return text;
  }
  ByteVector content(size_t max) {
    ByteVector bytes(random.percent(30) ? max : random.below(max + 1));
    const size_t filled = random.percent(30) ? bytes.size() / 3 : bytes.size();
    for (size_t i = 0; i < filled; ++i) bytes[i] = static_cast<std::byte>(random.next());
    return bytes;
  }
  void file_operation(ApplyBench& bench, Batch* batch, Ino ino);
  void name_operation(Batch* batch, Ino ino);

  uint64_t inodes_;
  std::set<uint64_t> live_;  // at the end of the batches so far
};

void History::file_operation(ApplyBench& bench, Batch* batch, Ino ino) {
  const uint64_t at = page();
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2: {
      const size_t count = random.percent(30) ? random.between(1, 128) : random.between(1, 4);
      // Some continue the blocks given out last, so that extents grow together.
      batch->put_extent(ino, at, bench.data_blocks(count),
                        test_crcs(count, static_cast<uint32_t>(random.next())));
      break;
    }
    case 3:
      batch->put_unwritten(ino, at, random.between(1, 200));
      break;
    case 4:
    case 5:
      batch->put_inline(ino, at, content(random.percent(50) ? 1200 : kBlockBytes));
      break;
    default:
      batch->punch(ino, at, random.percent(20) ? UINT64_MAX : at + random.between(1, 100));
  }
}

void History::name_operation(Batch* batch, Ino ino) {
  const std::string text = name();
  const uint64_t hash = siphash24(kTestHashKey, text) % 12;  // several names share each
  switch (random.below(6)) {
    case 0:
    case 1:
      batch->put_dirent(ino, hash, text,
                        {any(), MnodeNo(random.between(1, 1000)), uint8_t(random.below(13))});
      break;
    case 2:
      batch->del_dirent(ino, hash, text);
      break;
    case 3:
      batch->put_xattr(ino, "user." + text, content(random.percent(80) ? 600 : 20000));
      break;
    case 4:
      batch->del_xattr(ino, "user." + text);
      break;
    default: {
      InodeItem item = test_inode(ino.v);
      item.size = random.below(1 << 20);
      batch->put_inode(ino, item);
    }
  }
}

void History::fill(ApplyBench& bench, Batch* batch, int operations) {
  for (int i = 0; i < operations; ++i) {
    const Ino ino = any();
    if (!live_.contains(ino.v)) {
      batch->put_inode(ino, test_inode(ino.v));
      live_.insert(ino.v);
    }
    const uint64_t choice = random.below(100);
    if (choice < 50) {
      file_operation(bench, batch, ino);
    } else if (choice < 92) {
      name_operation(batch, ino);
    } else if (choice < 95) {
      batch->delete_inode(ino);
      live_.erase(ino.v);
    } else if (choice < 97) {
      random.percent(50) ? batch->put_orphan(ino) : batch->del_orphan(ino);
    } else {
      batch->set_mnode_mark(static_cast<uint32_t>(random.below(4)), random.below(100000));
    }
  }
}

void random_history(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  // Four hashes for all attribute names, and a cache that holds a part of the tree.
  ApplyBench bench({.cache_bytes = 256 << 10, .xattr_hash_mask = 15});
  History history(seed, 2 + seed % 30);
  bench.tree.run_max = seed % 2 ? 64 : 3;
  for (int round = 0; round < 12; ++round) {
    const int batches = static_cast<int>(history.random.between(1, 5));
    for (int i = 0; i < batches; ++i) {
      Batch batch;
      history.fill(bench, &batch, static_cast<int>(history.random.between(1, 150)));
      bench.run(batch);
    }
    bench.checkpoint();
    bench.expect_same();
    if (::testing::Test::HasFailure()) return;
  }
  // After everything is deleted nothing is left but recycled numbers and marks.
  Batch batch;
  for (const auto& [number, inode] : bench.model.inodes) batch.delete_inode(Ino(number));
  for (const uint64_t orphan : bench.model.orphans) batch.del_orphan(Ino(orphan));
  bench.run(batch);
  bench.checkpoint();
  bench.expect_same();
  EXPECT_TRUE(bench.sink.blocks.empty());
}

TEST(ApplyRandom, agrees_with_the_model) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(25); ++seed) {
    random_history(seed);
    if (HasFailure()) return;
  }
}

// The same batches once more, over the tree that they made.
TEST(ApplyRandom, applying_twice_changes_nothing) {
  for (uint64_t seed = 1001; seed <= 1000 + testing::seeds_of(15); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ApplyBench bench({.xattr_hash_mask = 15});
    History history(seed, 2 + seed % 20);
    std::vector<Batch> batches(5);
    for (Batch& batch : batches) {
      history.fill(bench, &batch, 150);
      bench.run(batch);
    }
    bench.checkpoint();
    bench.expect_same();
    for (const Batch& batch : batches) bench.replay(batch);
    bench.checkpoint();
    bench.expect_same();
    // And within one checkpoint.
    for (int pass = 0; pass < 2; ++pass) {
      for (const Batch& batch : batches) bench.replay(batch);
    }
    bench.checkpoint();
    bench.expect_same();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace scalefs::diskfs
