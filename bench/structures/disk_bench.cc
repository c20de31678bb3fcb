// What commits and checkpoints are made of: inserting into the tree, encoding a batch, CRC32C, finding free blocks. Beside
// them std::map, copying as many bytes, CRC32C without the instruction, and a bitmap under one mutex. The tree belongs to one
// thread, so each has its own.
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "bench/structures/threads.h"
#include "diskfs/allocator.h"
#include "diskfs/batch.h"
#include "diskfs/journal_format.h"
#include "diskfs/memory_device.h"
#include "diskfs/tree_writer.h"

namespace scalefs::bench {
namespace {

using namespace diskfs;

// --- tree: items of 64 bytes at random keys, up to 100,000 of them.
constexpr uint64_t kKeys = 100'000;
constexpr uint8_t kUuid[16] = {1};

Key random_key(Random& random) { return Key(1 + random.below(kKeys), 1, 0); }

void tree_put(benchmark::State& state) {
  MemoryDevice device(1 << 20);
  NodeStore store(device, kUuid, HashKey{1, 2});
  TreeWriter tree(store, TreeRoot());
  Random random(static_cast<uint64_t>(state.thread_index()) + 1);
  std::vector<std::byte> value(64);
  uint64_t number = 0;
  for (auto _ : state) {
    ++number;
    std::memcpy(value.data(), &number, sizeof number);
    if (!tree.put(random_key(random), value).ok()) return state.SkipWithError("put failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tree_put)->Name("tree_put/scalefs")->Apply(on_all_processors);

void map_put(benchmark::State& state) {
  std::map<Key, std::vector<std::byte>> tree;
  Random random(static_cast<uint64_t>(state.thread_index()) + 1);
  std::vector<std::byte> value(64);
  uint64_t number = 0;
  for (auto _ : state) {
    ++number;
    std::memcpy(value.data(), &number, sizeof number);
    tree[random_key(random)] = value;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(map_put)->Name("tree_put/std_map")->Apply(on_all_processors);

// --- a batch of 100 creates, with the header that seals it; items are creates.
constexpr int kCreates = 100;

void encode(benchmark::State& state) {
  JournalArea area;
  area.first = BlockNo(8);
  area.blocks = 1024;
  area.key = HashKey{1, 2};
  InodeItem item;
  item.mnode = MnodeNo(77);
  item.mode = 0100644;
  item.nlink = 1;
  item.ctime_ns = item.mtime_ns = item.atime_ns = item.btime_ns = 1'700'000'000'000'000'000;
  std::vector<std::byte> bytes;
  Batch batch;
  uint64_t number = 0;
  for (auto _ : state) {
    batch.clear();
    for (int i = 0; i < kCreates; ++i) {
      const Ino ino(100 + ++number % 100'000);
      batch.put_inode(ino, item);
      batch.put_dirent(Ino(1), number * 0x9e3779b97f4a7c15, "a-name-of-a-file", {ino, item.mnode, 8});
    }
    BatchHeader header;
    header.sequence = number;
    header.own_block = 5;
    header.payload_bytes = static_cast<uint32_t>(batch.size_bytes());
    header.op_count = batch.op_count();
    bytes.resize(kBatchHeaderBytes + batch.size_bytes());
    std::memcpy(bytes.data() + kBatchHeaderBytes, batch.bytes().data(), batch.size_bytes());
    encode_batch_header(area, header, bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetItemsProcessed(state.iterations() * kCreates);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(encode)->Name("journal_encode/scalefs")->Apply(on_all_processors);

void copy_structs(benchmark::State& state) {
  struct Create {
    InodeItem item;
    DirentTarget target;
    char name[32];
  };
  const std::vector<Create> creates(kCreates);
  std::vector<std::byte> bytes(sizeof(Create) * kCreates);
  for (auto _ : state) {
    std::memcpy(bytes.data(), creates.data(), bytes.size());
    benchmark::DoNotOptimize(crc32c(bytes.data(), bytes.size()));
  }
  state.SetItemsProcessed(state.iterations() * kCreates);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(copy_structs)->Name("journal_encode/copy_of_structs")->Apply(on_all_processors);

// --- CRC32C of so many bytes.
template <auto kCrc>
void checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<size_t>(state.range(0)), std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(kCrc(bytes.data(), bytes.size(), 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum<crc32c>)->Name("crc32c/scalefs")->ArgName("bytes")->Arg(64)->Arg(4096)->Apply(on_all_processors);
BENCHMARK(checksum<crc32c_portable>)->Name("crc32c/tables")->ArgName("bytes")->Arg(64)->Arg(4096)->Apply(on_all_processors);

// --- blocks: one is taken, and given back 64 later; of 4 GiB, half of which is in use.
constexpr uint64_t kBlocks = 1 << 20;

struct OurBlocks {
  uint64_t allocate(uint32_t core) { return allocator.allocate(core, 1)->first.v; }
  void free(uint64_t block) { allocator.free({BlockNo(block), 1}); }
  Allocator allocator{kBlocks, kBlocks / 16, [](uint64_t block) { return block % 2 == 0; }};
};
struct LockedBlocks {
  LockedBlocks() {
    MutexLock lock(mutex);
    for (uint64_t block = 0; block < kBlocks; block += 2) taken[block] = true;
  }
  uint64_t allocate(uint32_t) {
    MutexLock lock(mutex);
    while (taken[next]) next = (next + 1) % kBlocks;
    taken[next] = true;
    return next;
  }
  void free(uint64_t block) {
    MutexLock lock(mutex);
    taken[block] = false;
  }
  Mutex mutex;
  uint64_t next GUARDED_BY(mutex) = 0;
  std::vector<bool> taken GUARDED_BY(mutex) = std::vector<bool>(kBlocks);
};

template <class Blocks>
void allocate(benchmark::State& state) {
  constexpr size_t kHeld = 64;
  uint64_t held[kHeld] = {};
  size_t i = 0;
  for (auto _ : state) {
    uint64_t& block = held[i++ % kHeld];
    if (block != 0) shared<Blocks>->free(block);
    block = shared<Blocks>->allocate(static_cast<uint32_t>(state.thread_index()));
  }
  for (const uint64_t block : held)
    if (block != 0) shared<Blocks>->free(block);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(allocate<OurBlocks>)->Name("allocate/scalefs")->Apply(with_shared<OurBlocks>);
BENCHMARK(allocate<LockedBlocks>)->Name("allocate/mutex_bitmap")->Apply(with_shared<LockedBlocks>);

}  // namespace
}  // namespace scalefs::bench
