#include "memfs/directory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/epoch.h"
#include "base/memory.h"
#include "memfs/directory_table.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kBitsStart = 1;
constexpr uint32_t kBitsMax = 24;
constexpr uint32_t kBitsStep = 2;      // a resize makes four of one bucket
constexpr uint32_t kCountSuspect = 6;  // a bucket this full makes the writer look at its neighbours
constexpr uint32_t kAverageMax = 3;
constexpr uint32_t kSample = 16;
constexpr size_t kBucketsAhead = 8;  // whose items a listing fetches
constexpr size_t kReserveBeyond = 8;  // for the names of the last bucket
constexpr uint32_t kContendedMax = 32;
constexpr uint32_t kBucketsACore = 16;  // how far waiting alone makes a directory grow

int64_t item_bytes(size_t length) { return static_cast<int64_t>(sizeof(NameItem) + length); }

}  // namespace

NameItem* NameItem::make(uint64_t hash, std::string_view name, NameValue value) {
  void* memory = std::malloc(sizeof(NameItem) + name.size());
  if (memory == nullptr) throw std::bad_alloc();
  auto* item = new (memory) NameItem(hash, value, static_cast<uint16_t>(name.size()));
  std::memcpy(item->text, name.data(), name.size());
  memory_count(MemoryClass::name, item_bytes(name.size()));
  return item;
}

void NameItem::free(NameItem* item) {
  memory_count(MemoryClass::name, -item_bytes(item->length));
  delete item->cell_;
  std::free(item);
}

#ifdef SCALEFS_SCHEDULE
bool name_kind_canary = false;
#endif

NameCell::NameCell() { memory_count(MemoryClass::name, sizeof(NameCell)); }
NameCell::~NameCell() { memory_count(MemoryClass::name, -static_cast<int64_t>(sizeof(NameCell))); }

NameCell* NameItem::set(NameValue value, NameCellPtr& cell) {
  // Written under the lock, both.
  const NameKind kind = kind_of(value);
  if ((word_.load(relaxed) & kInCell) != 0) {
    const bool same = cell_->kind.load(relaxed) == kind;
    bool take_away = !same;
#ifdef SCALEFS_SCHEDULE
    take_away = take_away && !name_kind_canary;
#endif
    if (take_away) cell_->kind.store(NameKind::absent, relaxed);  // released with the value
    cell_->word.store(value.word(), release);                     // pairs with value() and kind()
    if (!same) cell_->kind.store(kind, release);                  // pairs with kind()
    return nullptr;
  }
  // What the item may have from an earlier life may still be read by who found it then.
  NameCell* const old = std::exchange(cell_, cell.release());
  // Released below, both.
  cell_->word.store(value.word(), relaxed);
  cell_->kind.store(kind, relaxed);
  word_.store(kInCell | reinterpret_cast<uintptr_t>(cell_), release);
  return old;
}

void NameItem::retire(NameItem* item) {
  if (item != nullptr)
    epoch::retire(item, [](void* p) { NameItem::free(static_cast<NameItem*>(p)); });
}

DirectoryNode::Table::Table(uint32_t b, uint32_t chain)
    : bits(b), which(chain), buckets(size_t{1} << b) {
  memory_count(MemoryClass::directory, static_cast<int64_t>(size() * sizeof(NameBucket)));
}

DirectoryNode::Table::~Table() {
  memory_count(MemoryClass::directory, -static_cast<int64_t>(size() * sizeof(NameBucket)));
  if (gone != nullptr) gone->store(true, release);  // pairs with old_is_gone
}

DirectoryNode::DirectoryNode(MnodeNo number, MnodeNo parent, bool complete)
    : place{.parent = parent.v},
      old_gone_(std::make_shared<Atomic<bool>>(true)),
      number_(number),
      table_(new Table(kBitsStart, 0)),
      complete_(complete) {}

DirectoryNode::~DirectoryNode() {
  Table* table = table_.load(relaxed);  // nobody else is here
  for (size_t i = 0; i < table->size(); ++i)
    table->buckets[i].for_each(table->which, [](NameItem* item) { NameItem::free(item); });
  delete table;
}

void NameBucket::insert(NameItem* item, uint32_t which) {
  SCALEFS_DCHECK(item_in(slot_of(item)) == item);
  // Relaxed, all: written under the lock. The release stores pair with find_in() and for_each().
  count.store(count.load(relaxed) + 1, relaxed);
  for (Atomic<uint64_t>& slot : slots) {
    if (slot.load(relaxed) == 0) return slot.store(slot_of(item), release);
  }
  item->next[which].store(chain.load(relaxed), relaxed);
  chain.store(item, release);
}

void NameBucket::remove(NameItem* item, uint32_t which) {
  count.store(count.load(relaxed) - 1, relaxed);
  for (Atomic<uint64_t>& slot : slots) {
    if (slot.load(relaxed) == slot_of(item)) return slot.store(0, release);
  }
  Atomic<NameItem*>* at = &chain;
  while (at->load(relaxed) != item) at = &at->load(relaxed)->next[which];
  // Release: what follows was published by others; pairs with the readers' acquires.
  at->store(item->next[which].load(relaxed), release);
}

NameItem* DirectoryNode::find_in(const Table& table, uint64_t hash, std::string_view name) {
  const NameBucket& bucket = table.bucket(hash);
  // Acquire, all: pairs with the releases in NameBucket.
  for (const Atomic<uint64_t>& slot : bucket.slots) {
    const uint64_t word = slot.load(acquire);
    if (!NameBucket::may_be(word, hash)) continue;
    NameItem* item = NameBucket::item_in(word);
    if (item != nullptr && item->hash == hash && item->name() == name) return item;
  }
  NameItem* item = bucket.chain.load(acquire);
  while (item != nullptr && (item->hash != hash || item->name() != name))
    item = item->next[table.which].load(acquire);
  return item;
}

void DirectoryNode::prefetch(uint64_t hash) const {
  const NameBucket& bucket = table_.load(acquire)->bucket(hash);  // pairs with grow
  __builtin_prefetch(&bucket, 1);
  __builtin_prefetch(&bucket.lock, 1);
}

DirectoryNode::Found DirectoryNode::find(uint64_t hash, std::string_view name) const {
  bool known;
  const NameItem* item = locate(hash, name, &known);
  return {item != nullptr ? item->value() : NameValue(), known};
}

const NameItem* DirectoryNode::locate(uint64_t hash, std::string_view name, bool* known) const {
  *known = true;
  // Before the walk: what a load merged before it said so is then seen by the walk.
  bool loaded = complete();
  const Table* table = table_.load(acquire);  // pairs with grow
  for (;;) {
    if (const NameItem* item = find_in(*table, hash, name)) return item;
    const Table* current = table_.load(acquire);
    if (current == table) {
      if (loaded) return nullptr;
      if (!is_loaded(hash)) {
        *known = false;
        return nullptr;
      }
      loaded = true;  // once more, now behind that
    }
    table = current;
  }
}

std::optional<uint64_t> DirectoryNode::collect(uint64_t from, std::optional<uint64_t> to,
                                               size_t count, std::vector<Listed>* names) const {
  const Table& table = *table_.load(acquire);  // pairs with grow()
  const size_t start = names->size();
  names->reserve(start + count + kReserveBeyond);
  // Items lie anywhere in memory.
  const auto fetch = [&table](size_t bucket) {
    if (bucket >= table.size()) return;
    for (const Atomic<uint64_t>& slot : table.buckets[bucket].slots)
      if (const NameItem* item = NameBucket::item_in(slot.load(relaxed))) __builtin_prefetch(item);
  };
  for (size_t i = 0; i < kBucketsAhead; ++i) fetch(table.index(from) + i);
  for (size_t i = table.index(from); i < table.size(); ++i) {
    const size_t first = names->size();
    fetch(i + kBucketsAhead);
    table.buckets[i].for_each(table.which, [&](const NameItem* item) {
      if (item->hash < from || (to.has_value() && item->hash >= *to)) return;
      const NameValue value = item->value();
      if (value) names->push_back({item->hash, std::string(item->name()), value, item});
    });
    std::sort(names->begin() + static_cast<ptrdiff_t>(first), names->end(),
              [](const Listed& a, const Listed& b) {
                return a.hash != b.hash ? a.hash < b.hash : a.name < b.name;
              });
    if (to.has_value() && i >= table.index(*to)) return std::nullopt;
    // A position is never cut, for its hashes are in one bucket.
    if (names->size() - start >= count && i + 1 < table.size())
      return static_cast<uint64_t>(i + 1) << (64 - table.bits);
  }
  return std::nullopt;
}

NameItem* DirectoryNode::item(uint64_t hash, std::string_view name) {
  return find_in(*table_.load(acquire), hash, name);
}

void DirectoryNode::insert(NameItem* item) {
  Table& table = *table_.load(relaxed);  // a bucket's lock is held, so it cannot change
  table.bucket(item->hash).insert(item, table.which);
}

NameItem* DirectoryNode::remove(NameItem* item, Stamp stamp) {
  item->clear();
  if (!complete()) {
    item->removed_at = stamp;
    return nullptr;
  }
  Table& table = *table_.load(relaxed);  // a bucket's lock is held
  table.bucket(item->hash).remove(item, table.which);
  return item;
}

bool DirectoryNode::wants_growth(uint64_t hash) const {
  const Table& table = *table_.load(relaxed);  // a bucket's lock is held, so it cannot change
  if (table.bits + kBitsStep > kBitsMax) return false;
  const NameBucket& bucket = table.bucket(hash);
  // Relaxed, all: an estimate will do.
  if (bucket.count.load(relaxed) < kCountSuspect)
    return bucket.contended.load(relaxed) > kContendedMax &&
           table.size() < size_t{kBucketsACore} * core_count();
  const size_t sample = std::min<size_t>(kSample, table.size());
  const size_t start = table.index(hash) / sample * sample;
  uint32_t sum = 0;
  for (size_t i = start; i < start + sample; ++i) sum += table.buckets[i].count.load(relaxed);
  return sum >= kAverageMax * sample;
}

void DirectoryNode::grow() {
  try {
    grow_now();
  } catch (const std::bad_alloc&) {
    // Chains grow until there is memory.
  }
}

void DirectoryNode::grow_now() {
  if (!old_is_gone()) {
    // Nothing else may be there that lets epochs pass. Until readers have left the array before this one,
    // chains grow.
    epoch::try_advance();
    return;
  }
  uint32_t bits = 0;
  {
    EpochGuard guard;  // another thread may replace and retire the array
    bits = table_.load(acquire)->bits;
  }
  auto fresh = std::make_unique<Table>(bits + kBitsStep, 0);
  std::unique_ptr<Table> old;
  {
    NameLocks locks;
    locks.add_all(*this).lock();
    Table& table = *table_.load(relaxed);  // locked
    if (table.bits != bits || !old_is_gone()) return;
    old_gone_->store(false, release);  // pairs with old_is_gone
    fresh->take_over(table);
    table_.store(fresh.release(), release);  // pairs with the readers' acquires
    old.reset(&table);
  }
  old->gone = old_gone_;
  epoch::retire(old.release());
}

// All buckets of `from` are locked.
void DirectoryNode::Table::take_over(const Table& from) {
  which = from.which ^ 1;
  for (size_t i = 0; i < from.size(); ++i) {
    const NameBucket& source = from.buckets[i];
    const size_t first = i << (bits - from.bits);
    const size_t last = (i + 1) << (bits - from.bits);
    for (size_t j = first; j < last; ++j) buckets[j].stamp = source.stamp;
    source.for_each(from.which, [&](NameItem* item) { bucket(item->hash).insert(item, which); });
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

namespace {

// Items that are in no chain any more, retired when no bucket is locked.
struct Removed {
  std::vector<NameItem*> items;
  Removed() = default;
  ~Removed() {
    for (NameItem* item : items) NameItem::retire(item);
  }
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
};

}  // namespace

bool DirectoryNode::purge_tombstones(Stamp durable) {
  uint32_t bits;
  {
    EpochGuard guard;
    bits = table_.load(acquire)->bits;
  }
  bool left = false;
  for (uint64_t i = 0; i < uint64_t{1} << bits; ++i) {
    Removed removed;
    {
      NameLocks locks;
      const uint64_t hash = i << (64 - bits);
      locks.add(*this, hash).lock();
      Table& table = *table_.load(relaxed);  // locked
      // Some buckets of a new array would be passed by: another time.
      if (table.bits != bits) return true;
      // Seq_cst: pairs with Load. One that begins after this reads a checkpoint that covers `durable`.
      const bool no_load = complete() || loads_.load(seq_cst) == 0;
      NameBucket& bucket = table.bucket(hash);
      bucket.for_each(table.which, [&](NameItem* item) {
        if (item->live()) return;
        if (no_load && (complete() || item->removed_at <= durable)) {
          removed.items.push_back(item);
          bucket.remove(item, table.which);
        } else {
          left = true;
        }
      });
    }
  }
  return left;
}

}  // namespace scalefs::memfs
