#include "memfs/mnode_table.h"

#include <utility>
#include <vector>

#include "base/epoch.h"
#include "base/huge_array.h"
#include "base/memory.h"

namespace scalefs::memfs {
namespace {

// An object that others look for, such as a directory, is found by a line of heads that every 128th new object of its core
// writes, or a rarer one where there are more.
constexpr uint32_t kSizeMin = 2048;
// Heads this far apart are on different (pairs of) cache lines.
constexpr uint32_t kStride = kFalseSharingBytes / sizeof(void*);

}  // namespace

// On a line of its own: every call reads it.
struct alignas(64) MnodeTable::Table {
  Table(uint32_t n, uint32_t chain)
      : size(n), which(chain), heads(n) {
    memory_count(MemoryClass::mnode, static_cast<int64_t>(n * sizeof(void*)));
  }
  ~Table() {
    memory_count(MemoryClass::mnode, -static_cast<int64_t>(size * sizeof(void*)));
    if (gone != nullptr) gone->store(true, release);  // pairs with the load in prepare()
  }
  // Neighbouring counters are on different lines: the low bits choose the line.
  uint32_t index(MnodeNo number) const {
    const uint64_t counter = number.v >> kCoreBits;
    const uint32_t lines = size / kStride;
    return static_cast<uint32_t>((counter & (lines - 1)) * kStride + (counter / lines) % kStride);
  }
  const uint32_t size;   // a power of two
  uint32_t which;        // of the two next pointers; constant once published
  const HugeArray<Atomic<Mnode*>> heads;
  // Told when the memory goes, which is when the last reader is off.
  std::shared_ptr<Atomic<bool>> gone;
};

// The first line is everybody's who looks for an object that this core made, and is written with an array only; the
// second is written with each object.
struct alignas(kFalseSharingBytes) MnodeTable::Shard {
  ~Shard() { delete table.load(relaxed); }
  Atomic<Table*> table{nullptr};  // release when published, acquire by readers
  alignas(kFalseSharingBytes) SpinBit lock;
  Atomic<uint32_t> size{0};   // of the array; written under the lock
  Atomic<uint64_t> count{0};  // as `size`; others read it as a statistic
  // The array before the present one is out of all readers' sight.
  const std::shared_ptr<Atomic<bool>> old_gone = std::make_shared<Atomic<bool>>(true);
};

MnodeTable::MnodeTable() : shards_(std::make_unique<Shard[]>(kCoresMax)) {}

MnodeTable::~MnodeTable() {
  std::vector<Mnode*> all;
  for_each([&](Mnode& mnode) { all.push_back(&mnode); });
  for (Mnode* mnode : all) delete mnode;
}

MnodeTable::Shard& MnodeTable::shard_of(MnodeNo number) const {
  return shards_[number.v & (kCoresMax - 1)];
}

Mnode* MnodeTable::find(MnodeNo number) const {
  const Shard& shard = shard_of(number);
  const Table* table = shard.table.load(acquire);  // pairs with prepare()
  while (table != nullptr) {
    // Acquire: pairs with the releases in link() and remove().
    Mnode* mnode = table->heads[table->index(number)].load(acquire);
    // What every call reads next is on its way while the number is compared.
    if (mnode != nullptr) __builtin_prefetch(&mnode->stamp);
    while (mnode != nullptr && mnode->number != number)
      mnode = mnode->table_next[table->which].load(acquire);
    if (mnode != nullptr) return mnode;
    // What was inserted after a resize is not in the old chains.
    const Table* current = shard.table.load(acquire);
    if (current == table) return nullptr;
    table = current;
  }
  return nullptr;
}

void MnodeTable::prefetch_head(MnodeNo number) const {
  const Table* table = shard_of(number).table.load(acquire);  // pairs with prepare()
  if (table != nullptr) __builtin_prefetch(&table->heads[table->index(number)]);
}

void MnodeTable::prefetch_object(MnodeNo number) const {
  const Table* table = shard_of(number).table.load(acquire);  // pairs with prepare()
  if (table == nullptr) return;
  const Mnode* first = table->heads[table->index(number)].load(acquire);  // as in find()
  if (first == nullptr) return;
  __builtin_prefetch(first);
  __builtin_prefetch(&first->mode_lock);
  __builtin_prefetch(&first->attr_lock);
  __builtin_prefetch(&first->stamp);
  __builtin_prefetch(&first->xattrs);
}

void MnodeTable::prepare(MnodeNo number) {
  Shard& shard = shard_of(number);
  // Relaxed: an estimate will do, but for the first array, and who reads 0 comes to the lock below.
  const uint32_t present = shard.size.load(relaxed);
  if (present != 0 && shard.count.load(relaxed) < present) return;
  const uint32_t size = present != 0 ? present * 4 : kSizeMin;
  // Acquire: pairs with ~Table. Nothing else may be there that lets epochs pass; until then chains
  // grow longer.
  if (!shard.old_gone->load(acquire)) {
    epoch::try_advance();
    return;
  }
  auto fresh = std::make_unique<Table>(size, 0);
  std::unique_ptr<Table> old;
  {
    SpinLock lock(shard.lock);
    Table* now = shard.table.load(relaxed);  // written under the lock
    if (now != nullptr && now->size >= size) return;
    if (now != nullptr) {
      if (!shard.old_gone->load(acquire)) return;
      shard.old_gone->store(false, relaxed);
      fresh = relink(*now, std::move(fresh));
      old.reset(now);
    }
    shard.size.store(fresh->size, relaxed);
    shard.table.store(fresh.release(), release);  // pairs with find()
  }
  if (old != nullptr) {
    old->gone = shard.old_gone;
    epoch::retire(old.release());
  }
}

std::unique_ptr<MnodeTable::Table> MnodeTable::relink(const Table& from,
                                                      std::unique_ptr<Table> to) {
  to->which = from.which ^ 1;
  for (uint32_t i = 0; i < from.size; ++i) {
    // Relaxed: the new chains are published as a whole.
    for (Mnode* m = from.heads[i].load(relaxed); m != nullptr;
         m = m->table_next[from.which].load(relaxed)) {
      Atomic<Mnode*>& head = to->heads[to->index(m->number)];
      m->table_next[to->which].store(head.load(relaxed), relaxed);
      head.store(m, relaxed);
    }
  }
  return to;
}

Mnode* MnodeTable::put(Mnode* mnode, bool may_be_there) {
  Shard& shard = shard_of(mnode->number);
  SpinLock lock(shard.lock);
  Table& table = *shard.table.load(relaxed);  // written under the lock
  Atomic<Mnode*>& head = table.heads[table.index(mnode->number)];
  Mnode* first = head.load(relaxed);
  if (may_be_there) {
    for (Mnode* m = first; m != nullptr; m = m->table_next[table.which].load(relaxed))
      if (m->number == mnode->number) return m;
  }
  mnode->table_next[table.which].store(first, relaxed);
  head.store(mnode, release);  // pairs with find()
  shard.count.store(shard.count.load(relaxed) + 1, relaxed);
  return mnode;
}

void MnodeTable::remove(Mnode* mnode) {
  Shard& shard = shard_of(mnode->number);
  SpinLock lock(shard.lock);
  Table& table = *shard.table.load(relaxed);  // written under the lock
  Atomic<Mnode*>* at = &table.heads[table.index(mnode->number)];
  while (Mnode* m = at->load(relaxed)) {
    if (m == mnode) {
      // Release: what follows in the chain was published by others; pairs with find().
      at->store(m->table_next[table.which].load(relaxed), release);
      shard.count.store(shard.count.load(relaxed) - 1, relaxed);
      return;
    }
    at = &m->table_next[table.which];
  }
  SCALEFS_CHECK(false);
}

uint64_t MnodeTable::size() const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kCoresMax; ++i) sum += shards_[i].count.load(relaxed);
  return sum;
}

void MnodeTable::for_each(const std::function<void(Mnode&)>& visit) const {
  for (uint32_t i = 0; i < kCoresMax; ++i) {
    const Table* table = shards_[i].table.load(acquire);
    if (table == nullptr) continue;
    for (uint32_t j = 0; j < table->size; ++j)
      for (Mnode* m = table->heads[j].load(acquire); m != nullptr;
           m = m->table_next[table->which].load(acquire))
        visit(*m);
  }
}

}  // namespace scalefs::memfs
