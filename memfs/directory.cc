#include "memfs/directory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/epoch.h"
#include "base/memory.h"
#include "memfs/directory_table.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kBitsStart = 1;
constexpr uint32_t kBitsMax = 24;
constexpr uint32_t kBitsStep = 2;      // a resize makes four of one bucket
constexpr uint32_t kCountSuspect = 6;  // a chain this long makes the writer look at its neighbours
constexpr uint32_t kAverageMax = 3;
constexpr uint32_t kSample = 16;
constexpr uint32_t kContendedMax = 32;
constexpr uint32_t kBucketsACore = 16;  // how far waiting alone makes a directory grow

int64_t item_bytes(size_t length) { return static_cast<int64_t>(sizeof(NameItem) + length); }

}  // namespace

NameItem* NameItem::make(uint64_t hash, std::string_view name, NameValue value) {
  void* memory = std::malloc(sizeof(NameItem) + name.size());
  if (memory == nullptr) throw std::bad_alloc();
  auto* item = new (memory) NameItem(hash, value.word(), static_cast<uint16_t>(name.size()));
  std::memcpy(item->text, name.data(), name.size());
  memory_count(MemoryClass::name, item_bytes(name.size()));
  return item;
}

void NameItem::free(NameItem* item) {
  memory_count(MemoryClass::name, -item_bytes(item->length));
  std::free(item);
}

void NameItem::retire(NameItem* item) {
  if (item != nullptr)
    epoch::retire(item, [](void* p) { NameItem::free(static_cast<NameItem*>(p)); });
}

DirectoryNode::Table::Table(uint32_t b, uint32_t chain)
    : bits(b), which(chain), buckets(std::make_unique<NameBucket[]>(size_t{1} << b)) {
  memory_count(MemoryClass::directory, static_cast<int64_t>(size() * sizeof(NameBucket)));
}

DirectoryNode::Table::~Table() {
  memory_count(MemoryClass::directory, -static_cast<int64_t>(size() * sizeof(NameBucket)));
  if (gone != nullptr) gone->store(true, release);  // pairs with grow_if_needed
}

DirectoryNode::DirectoryNode(bool complete)
    : table_(new Table(kBitsStart, 0)), complete_(complete) {}

DirectoryNode::~DirectoryNode() {
  Table* table = table_.load(relaxed);  // nobody else is here
  for (size_t i = 0; i < table->size(); ++i) {
    NameItem* item = table->buckets[i].head.load(relaxed);
    while (item != nullptr) NameItem::free(std::exchange(item, item->next[table->which].load(relaxed)));
  }
  delete table;
}

NameItem* DirectoryNode::find_in(const Table& table, uint64_t hash, std::string_view name) {
  // Acquire: pairs with the releases in insert() and unlink().
  NameItem* item = table.bucket(hash).head.load(acquire);
  while (item != nullptr && item->hash < hash) item = item->next[table.which].load(acquire);
  while (item != nullptr && item->hash == hash && item->name() != name)
    item = item->next[table.which].load(acquire);
  return item != nullptr && item->hash == hash ? item : nullptr;
}

DirectoryNode::Found DirectoryNode::find(uint64_t hash, std::string_view name) const {
  // Before the walk: what a load merged before it said so is then seen by the walk.
  bool loaded = complete();
  const Table* table = table_.load(acquire);  // pairs with grow_if_needed
  for (;;) {
    if (const NameItem* item = find_in(*table, hash, name)) {
      // Acquire: whoever sees a number also sees its object in the mnode table.
      return {NameValue::from_word(item->value.load(acquire)), true};
    }
    const Table* current = table_.load(acquire);
    if (current == table) {
      if (loaded) return {{}, true};
      if (!is_loaded(hash)) return {{}, false};
      loaded = true;  // once more, now behind that
    }
    table = current;
  }
}

std::optional<uint64_t> DirectoryNode::collect(uint64_t from, std::optional<uint64_t> to,
                                               size_t count, std::vector<Listed>* names) const {
  const Table& table = *table_.load(acquire);  // pairs with grow_if_needed
  const size_t start = names->size();
  for (size_t i = table.index(from); i < table.size(); ++i) {
    // Acquire: as in find().
    const NameItem* item = table.buckets[i].head.load(acquire);
    for (; item != nullptr; item = item->next[table.which].load(acquire)) {
      if (item->hash < from) continue;
      if (to.has_value() && item->hash >= *to) return std::nullopt;
      const NameValue value = NameValue::from_word(item->value.load(acquire));
      if (!value) continue;
      if (names->size() - start >= count &&
          position_of_hash(item->hash) != position_of_hash(names->back().hash))
        return item->hash;
      names->push_back({item->hash, std::string(item->name()), value});
    }
  }
  return std::nullopt;
}

NameItem* DirectoryNode::item(uint64_t hash, std::string_view name) {
  return find_in(*table_.load(acquire), hash, name);
}

void DirectoryNode::insert(NameItem* item) {
  Table& table = *table_.load(relaxed);  // a bucket's lock is held, so it cannot change
  NameBucket& bucket = table.bucket(item->hash);
  Atomic<NameItem*>* at = &bucket.head;
  NameItem* next = at->load(relaxed);
  while (next != nullptr && next->hash < item->hash) {
    at = &next->next[table.which];
    next = at->load(relaxed);
  }
  item->next[table.which].store(next, relaxed);
  at->store(item, release);  // pairs with find() and collect()
  bucket.count.store(bucket.count.load(relaxed) + 1, relaxed);
}

void DirectoryNode::set(NameItem* item, NameValue value) {
  item->removed_at = 0;
  item->value.store(value.word(), release);  // pairs with find() and collect()
}

void DirectoryNode::unlink(Table& table, NameItem* item) {
  NameBucket& bucket = table.bucket(item->hash);
  Atomic<NameItem*>* at = &bucket.head;
  while (at->load(relaxed) != item) at = &at->load(relaxed)->next[table.which];
  // Release: what follows was published by others; pairs with the readers' acquires.
  at->store(item->next[table.which].load(relaxed), release);
  bucket.count.store(bucket.count.load(relaxed) - 1, relaxed);
}

NameItem* DirectoryNode::remove(NameItem* item, Stamp stamp) {
  item->value.store(0, release);  // pairs with find() and collect()
  if (!complete()) {
    item->removed_at = stamp;
    return nullptr;
  }
  unlink(*table_.load(relaxed), item);  // a bucket's lock is held
  return item;
}

bool DirectoryNode::wants_growth(const Table& table, uint64_t hash) const {
  if (table.bits + kBitsStep > kBitsMax) return false;
  const NameBucket& bucket = table.bucket(hash);
  const uint32_t count = bucket.count.load(relaxed);  // an estimate will do
  if (count < kCountSuspect)
    return bucket.contended.load(relaxed) > kContendedMax &&
           table.size() < size_t{kBucketsACore} * core_count();
  const size_t sample = std::min<size_t>(kSample, table.size());
  const size_t start = table.index(hash) / sample * sample;
  uint32_t sum = 0;
  for (size_t i = start; i < start + sample; ++i) sum += table.buckets[i].count.load(relaxed);
  return sum >= kAverageMax * sample;
}

void DirectoryNode::grow_if_needed(uint64_t hash) {
  uint32_t bits = 0;
  {
    EpochGuard guard;  // another thread may replace and retire the array
    const Table& table = *table_.load(acquire);
    if (!wants_growth(table, hash)) return;
    bits = table.bits;
  }
  auto fresh = std::make_unique<Table>(bits + kBitsStep, 0);
  std::unique_ptr<Table> old;
  {
    NameLocks locks;
    locks.add_all(*this).lock();
    Table& table = *table_.load(relaxed);  // locked
    if (table.bits != bits) return;
    // Acquire: pairs with ~Table. Until readers have left the array before this one, chains grow.
    if (old_gone_ != nullptr && !old_gone_->load(acquire)) return;
    old_gone_ = std::make_shared<Atomic<bool>>(false);
    fresh->take_over(table);
    table_.store(fresh.release(), release);  // pairs with the readers' acquires
    old.reset(&table);
  }
  old->gone = old_gone_;
  epoch::retire(old.release());
}

// All buckets of `from` are locked. Chains stay in order, for a bucket only splits.
void DirectoryNode::Table::take_over(const Table& from) {
  which = from.which ^ 1;
  for (size_t i = 0; i < from.size(); ++i) {
    const NameBucket& source = from.buckets[i];
    const size_t first = i << (bits - from.bits);
    const size_t last = (i + 1) << (bits - from.bits);
    for (size_t j = first; j < last; ++j) buckets[j].stamp = source.stamp;
    // Relaxed: the new array is published as a whole.
    size_t at = first;
    Atomic<NameItem*>* tail = &buckets[at].head;
    NameItem* item = source.head.load(relaxed);
    for (; item != nullptr; item = item->next[from.which].load(relaxed)) {
      const size_t home = index(item->hash);
      if (home != at) {
        tail->store(nullptr, relaxed);
        at = home;
        tail = &buckets[at].head;
      }
      tail->store(item, relaxed);
      tail = &item->next[which];
      buckets[at].count.store(buckets[at].count.load(relaxed) + 1, relaxed);
    }
    tail->store(nullptr, relaxed);
  }
}

bool DirectoryNode::is_loaded(uint64_t hash) const { return loaded_until(hash).has_value(); }

std::optional<uint64_t> DirectoryNode::loaded_until(uint64_t hash) const {
  if (complete()) return UINT64_MAX;
  SpinLock lock(ranges_lock_);
  for (const Range& range : ranges_) {
    if (hash < range.from) return std::nullopt;
    if (hash <= range.last) return range.last;
  }
  return std::nullopt;
}

void DirectoryNode::add_loaded(uint64_t from, std::optional<uint64_t> to) {
  if (to.has_value() && *to <= from) return;
  Range added{from, to.has_value() ? *to - 1 : UINT64_MAX};
  SpinLock lock(ranges_lock_);
  std::vector<Range> merged;
  bool placed = false;
  for (const Range& range : ranges_) {
    if (range.last != UINT64_MAX && range.last + 1 < added.from) {
      merged.push_back(range);
    } else if (added.last != UINT64_MAX && added.last + 1 < range.from) {
      if (!std::exchange(placed, true)) merged.push_back(added);
      merged.push_back(range);
    } else {
      added.from = std::min(added.from, range.from);
      added.last = std::max(added.last, range.last);
    }
  }
  if (!placed) merged.push_back(added);
  ranges_ = std::move(merged);
  if (ranges_.front().from == 0 && ranges_.front().last == UINT64_MAX)
    complete_.store(true, release);  // pairs with complete()
}

bool DirectoryNode::purge_tombstones(Stamp durable) {
  uint32_t bits;
  {
    EpochGuard guard;
    bits = table_.load(acquire)->bits;
  }
  bool left = false;
  for (uint64_t i = 0; i < uint64_t{1} << bits; ++i) {
    std::vector<NameItem*> removed;
    {
      NameLocks locks;
      const uint64_t hash = i << (64 - bits);
      locks.add(*this, hash).lock();
      Table& table = *table_.load(relaxed);  // locked
      // Some buckets of a new array would be passed by: another time.
      if (table.bits != bits) return true;
      // Seq_cst: pairs with Load. One that begins after this reads a checkpoint that covers `durable`.
      const bool no_load = complete() || loads_.load(seq_cst) == 0;
      NameItem* item = table.bucket(hash).head.load(relaxed);
      while (item != nullptr) {
        NameItem* next = item->next[table.which].load(relaxed);
        if (item->value.load(relaxed) == 0) {
          if (no_load && (complete() || item->removed_at <= durable)) {
            unlink(table, item);
            removed.push_back(item);
          } else {
            left = true;
          }
        }
        item = next;
      }
    }
    for (NameItem* item : removed) NameItem::retire(item);
  }
  return left;
}

}  // namespace scalefs::memfs
