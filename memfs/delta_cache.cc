#include "memfs/delta_cache.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/memory.h"
#include "memfs/delta_ways.h"

namespace scalefs::memfs {
namespace {

// A way's counts have 32 bits: one that would pass this is folded first. A delta is far smaller.
constexpr int64_t kCountMax = int64_t{1} << 30;

// Under the lock of the way that the bit stands for.
void mark_used(Atomic<uint64_t>* words, uint32_t index) {
  const uint64_t bit = uint64_t{1} << (index % 64);
  if ((words[index / 64].load(relaxed) & bit) == 0) words[index / 64].fetch_or(bit, seq_cst);
}
void mark_unused(Atomic<uint64_t>* words, uint32_t index) {
  words[index / 64].fetch_and(~(uint64_t{1} << (index % 64)), relaxed);
}

// Pairs of load and store instead of read-modify-write: only a lock holder writes.
template <class T, class Delta>
void add_to(Atomic<T>& field, Delta delta) {
  if (delta != 0) field.store(static_cast<T>(field.load(relaxed) + delta), release);
}
template <class T>
void raise_to(Atomic<T>& field, T value) {
  if (field.load(relaxed) < value) field.store(value, release);
}
// A time that replaces what was set ahead, once.
void raise_time(Atomic<int64_t>& field, Atomic<bool>& ahead, int64_t value) {
  if (ahead.load(relaxed)) {
    field.store(value, release);
    ahead.store(false, release);
  } else {
    raise_to(field, value);
  }
}

// Inside an AttrWrite. `mtime_stamp`: of the operation that brought the mtime. Times of 0 are none: an object may show
// one before 1970.
void add_to_base(Mnode& mnode, const MetaDelta& delta, int64_t atime_ns, Stamp mtime_stamp) {
  add_to(mnode.base_nlink, delta.nlink);
  add_to(mnode.base_entries, delta.entries);
  if (atime_ns != 0) raise_time(mnode.base_atime_ns, mnode.atime_ahead, atime_ns);
  if (delta.mtime_ns != 0 && mtime_stamp >= mnode.mtime_set_stamp.load(relaxed)) {
    mnode.base_mtime_stamp = std::max(mnode.base_mtime_stamp, mtime_stamp);
    raise_time(mnode.base_mtime_ns, mnode.mtime_ahead, delta.mtime_ns);
  }
  raise_to(mnode.base_ctime_ns, delta.ctime_ns);
  raise_to(mnode.stamp, delta.stamp);
}

}  // namespace

DeltaCache::DeltaCache() : cores_(std::make_unique<PerCore<Core>>()) {
  memory_count(MemoryClass::delta_cache, static_cast<int64_t>(cores_->size() * sizeof(Core)));
}

DeltaCache::~DeltaCache() {
  memory_count(MemoryClass::delta_cache, -static_cast<int64_t>(cores_->size() * sizeof(Core)));
}

// Makes the way the object's; its lock is held.
DeltaCache::MetaWay& DeltaCache::claim(uint32_t core, MetaWay& way, Mnode& mnode) {
  if (way.mnode.load(relaxed) == &mnode) return way;
  __builtin_prefetch(&mnode.attr_lock, 1);  // the fold will want it
  if (way.mnode.load(relaxed) != nullptr) fold_meta(way, core);
  // Before the delta, so that a reader who cannot see the bit cannot miss a delta either: pairs with
  // the loads in read().
  auto& word = mask_word(mnode.delta_cores, core);
  if ((word.load(relaxed) & mask_bit(core)) == 0) word.fetch_or(mask_bit(core), seq_cst);
  mark_used(cores_->at(core).meta_used, way_index(mnode));
  WayWrite write(way);
  way.mnode.store(&mnode, release);
  return way;
}

void DeltaCache::add(Mnode& mnode, const MetaDelta& delta) {
  if (delta.entries == 0 && delta.mtime_ns == 0) {
    if (delta.nlink == 0) return add_small(Small::touches, mnode, delta);
    if (!mnode.is_directory()) return add_small(Small::links, mnode, delta);
  }
  const uint32_t core = cores_->index();
  MetaWay& way = meta_way(core, mnode);
  SpinLock lock(way.lock);
  if (!admits(way, way.mnode.load(relaxed), mnode)) {
    AttrWrite write(mnode);
    add_to_base(mnode, delta, 0, delta.stamp);
    queue_if_zero(mnode);
    return;
  }
  claim(core, way, mnode);
  if (std::abs(way.nlink.load(relaxed) + delta.nlink) > kCountMax ||
      std::abs(way.entries.load(relaxed) + delta.entries) > kCountMax) {
    fold_meta(way, core);
    claim(core, way, mnode);
  }
  WayWrite write(way);
  add_to(way.nlink, delta.nlink);
  add_to(way.entries, delta.entries);
  raise_to(way.ctime_ns, delta.ctime_ns);
  raise_to(way.stamp, delta.stamp);
  if (delta.mtime_ns == 0) return;
  // A way holds times of one age. Acquire: pairs with the release of an explicit mtime.
  const Stamp set = mnode.mtime_set_stamp.load(acquire);
  if (delta.stamp < set) return;
  if (way.mtime_stamp.load(relaxed) < set) {
    way.mtime_ns.store(delta.mtime_ns, release);
  } else {
    raise_to(way.mtime_ns, delta.mtime_ns);
  }
  raise_to(way.mtime_stamp, delta.stamp);
}

void DeltaCache::add_small(Small kind, Mnode& mnode, const MetaDelta& delta) {
  const uint32_t core = cores_->index();
  SmallWay& way = small_way(kind, core, mnode);
  SpinLock lock(way.lock);
  if (!admits(way, way.mnode.load(relaxed), mnode)) {
    AttrWrite write(mnode, kind == Small::links);
    add_to_base(mnode, delta, 0, 0);
    if (delta.nlink != 0) queue_if_zero(mnode);
    return;
  }
  const bool claimed = way.mnode.load(relaxed) == &mnode;
  if (!claimed) {  // as in claim()
    const bool links = kind == Small::links;
    if (links) __builtin_prefetch(&mnode.attr_lock, 1);
    if (links) __builtin_prefetch(&mnode.link_seq, 1);
    if (way.mnode.load(relaxed) != nullptr) fold_small(kind, way, core);
    auto& word = mask_word(links ? mnode.link_cores : mnode.touch_cores, core);
    if ((word.load(relaxed) & mask_bit(core)) == 0) word.fetch_or(mask_bit(core), seq_cst);
    Core& c = cores_->at(core);
    mark_used(links ? c.links_used : c.touches_used, way_index(mnode));
  }
  WayWrite write(way);
  if (!claimed) way.mnode.store(&mnode, release);
  add_to(way.nlink, delta.nlink);
  raise_to(way.ctime_ns, delta.ctime_ns);
  raise_to(way.stamp, delta.stamp);
}

void DeltaCache::add_lookups(Mnode& mnode, int64_t count) {
  const uint32_t core = cores_->index();
  LookupWay& way = lookup_way(core, mnode);
  SpinLock lock(way.lock);
  if (!admits(way, way.mnode.load(relaxed), mnode)) {
    SpinLock base(mnode.attr_lock);
    mnode.base_lookups += count;
    return queue_if_zero(mnode);
  }
  if (way.mnode.load(relaxed) != &mnode) {
    __builtin_prefetch(&mnode.attr_lock, 1);  // as in claim()
    if (way.mnode.load(relaxed) != nullptr) fold_lookups(way);
    way.mnode.store(&mnode, relaxed);
    mark_used(cores_->at(core).lookups_used, way_index(mnode));
  }
  way.count += count;
}

void DeltaCache::prefetch_lookups(MnodeNo number) const {
  const Mnode* const old = cores_->mine().lookups[way_index(number)].mnode.load(relaxed);
  if (old == nullptr) return;
  // As fold_lookups() touches them. The object may be gone by now, which a prefetch does not mind.
  __builtin_prefetch(&old->attr_lock, 1);
  __builtin_prefetch(&old->base_lookups, 1);
  __builtin_prefetch(&old->base_nlink);
}

void DeltaCache::set_atime(Mnode& mnode, int64_t now_ns, bool note) {
  const uint32_t core = cores_->index();
  MetaWay& way = meta_way(core, mnode);
  SpinLock lock(way.lock);
  if (!admits(way, way.mnode.load(relaxed), mnode)) {
    {
      AttrWrite write(mnode);
      add_to_base(mnode, {}, now_ns, 0);
    }
    if (note) list(mnode, kTimes);
    return;
  }
  claim(core, way, mnode);
  const uint64_t bit = uint64_t{1} << (core % kAtimeBits);
  // Before the time, as in claim().
  if ((mnode.atime_cores.load(relaxed) & bit) == 0) mnode.atime_cores.fetch_or(bit, seq_cst);
  {
    WayWrite write(way);
    way.atime_ns.store(now_ns, release);
  }
  if (note) way.notes.store(static_cast<uint8_t>(way.notes.load(relaxed) | kTimes), seq_cst);
}

void DeltaCache::clear_atimes(Mnode& mnode) {
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    // Seq_cst: pairs with the fetch_or in claim().
    if ((mask_word(mnode.delta_cores, core).load(seq_cst) & mask_bit(core)) == 0) continue;
    MetaWay& way = meta_way(core, mnode);
    if (way.atime_ns.load(acquire) == 0) continue;
    SpinLock lock(way.lock);
    if (way.mnode.load(relaxed) != &mnode) continue;
    WayWrite write(way);
    way.atime_ns.store(0, release);
  }
}

// The way's lock is held; it holds an object.
void DeltaCache::fold_meta(MetaWay& way, uint32_t core) {
  Mnode& mnode = *way.mnode.load(relaxed);
  if (const uint8_t notes = way.notes.load(relaxed); notes != 0) {
    list(mnode, notes);
    way.notes.store(0, seq_cst);
  }
  WayWrite way_write(way);
  AttrWrite write(mnode);
  add_to_base(mnode,
              {.nlink = way.nlink.load(relaxed),
               .entries = way.entries.load(relaxed),
               .mtime_ns = way.mtime_ns.load(relaxed),
               .ctime_ns = way.ctime_ns.load(relaxed),
               .stamp = way.stamp.load(relaxed)},
              way.atime_ns.load(relaxed), way.mtime_stamp.load(relaxed));
  const uint32_t index = way_index(mnode);
  way.mnode.store(nullptr, release);
  way.nlink.store(0, release);
  way.entries.store(0, release);
  way.atime_ns.store(0, release);
  way.mtime_ns.store(0, release);
  way.ctime_ns.store(0, release);
  way.stamp.store(0, release);
  way.mtime_stamp.store(0, release);
  mark_unused(cores_->at(core).meta_used, index);
  // With more cores than bits several share one, and it stays.
  if (cores_->size() <= kMaskBits)
    mask_word(mnode.delta_cores, core).fetch_and(~mask_bit(core), acq_rel);
  const uint64_t atime_bit = uint64_t{1} << (core % kAtimeBits);
  if (cores_->size() <= kAtimeBits && (mnode.atime_cores.load(relaxed) & atime_bit) != 0)
    mnode.atime_cores.fetch_and(~atime_bit, acq_rel);
  queue_if_zero(mnode);
}

// The same for a touch, or for links.
void DeltaCache::fold_small(Small kind, SmallWay& way, uint32_t core) {
  Mnode& mnode = *way.mnode.load(relaxed);
  const bool links = kind == Small::links;
  WayWrite way_write(way);
  AttrWrite write(mnode, links);
  add_to_base(mnode,
              {.nlink = way.nlink.load(relaxed),
               .ctime_ns = way.ctime_ns.load(relaxed),
               .stamp = way.stamp.load(relaxed)},
              0, 0);
  way.mnode.store(nullptr, release);
  way.nlink.store(0, release);
  way.ctime_ns.store(0, release);
  way.stamp.store(0, release);
  Core& c = cores_->at(core);
  mark_unused(links ? c.links_used : c.touches_used, way_index(mnode));
  if (cores_->size() <= kMaskBits)
    mask_word(links ? mnode.link_cores : mnode.touch_cores, core)
        .fetch_and(~mask_bit(core), acq_rel);
  if (links) queue_if_zero(mnode);
}

void DeltaCache::fold_lookups(LookupWay& way) {
  Mnode& mnode = *way.mnode.load(relaxed);
  way.mnode.store(nullptr, relaxed);
  const int64_t count = std::exchange(way.count, 0);
  // A pin that came and went: nothing to review either, for whatever made the base zero has been folded with a count.
  if (count == 0) return;
  SpinLock lock(mnode.attr_lock);
  mnode.base_lookups += count;
  queue_if_zero(mnode);
}

// attr_lock is held.
void DeltaCache::queue_if_zero(Mnode& mnode) {
  if (mnode.base_lookups > 0 || mnode.base_nlink.load(relaxed) > 0 || mnode.queued_for_review)
    return;
  mnode.queued_for_review = true;
  review_later(mnode);
}

void DeltaCache::review_later(Mnode& mnode) {
  Atomic<Mnode*>& head = cores_->mine().review;
  Mnode* first = head.load(relaxed);
  do {
    mnode.next_review = first;
  } while (!head.compare_exchange(first, &mnode, release, relaxed));  // pairs with take_review
}

Mnode* DeltaCache::take_review() {
  Mnode* all = nullptr;
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    Atomic<Mnode*>& head = cores_->at(core).review;
    if (head.load(relaxed) == nullptr) continue;
    Mnode* list = head.exchange(nullptr, acquire);  // pairs with queue_if_zero
    while (list != nullptr) {
      Mnode* next = list->next_review;
      list->next_review = all;
      all = std::exchange(list, next);
    }
  }
  return all;
}

void DeltaCache::flush(uint32_t core) {
  Core& c = cores_->at(core);
  for_each_used(c.meta_used, [&](uint32_t index) {
    MetaWay& way = c.meta[index];
    SpinLock lock(way.lock);
    if (way.mnode.load(relaxed) != nullptr) fold_meta(way, core);
  });
  for (const Small kind : {Small::links, Small::touches}) {
    const bool links = kind == Small::links;
    for_each_used(links ? c.links_used : c.touches_used, [&](uint32_t index) {
      SmallWay& way = links ? c.links[index] : c.touches[index];
      SpinLock lock(way.lock);
      if (way.mnode.load(relaxed) != nullptr) fold_small(kind, way, core);
    });
  }
  for_each_used(c.lookups_used, [&](uint32_t index) {
    LookupWay& way = c.lookups[index];
    SpinLock lock(way.lock);
    if (way.mnode.load(relaxed) == nullptr) return;
    fold_lookups(way);
    mark_unused(c.lookups_used, index);
  });
}

void DeltaCache::flush_all() {
  for (uint32_t core = 0; core < cores_->size(); ++core) flush(core);
}

void DeltaCache::forget(Mnode& mnode) {
  // All ways' locks are taken, whatever the masks say: who folds a way writes to its object until the unlock.
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    {
      MetaWay& way = meta_way(core, mnode);
      SpinLock lock(way.lock);
      if (way.mnode.load(relaxed) == &mnode) fold_meta(way, core);
    }
    for (const Small kind : {Small::links, Small::touches}) {
      SmallWay& way = small_way(kind, core, mnode);
      SpinLock lock(way.lock);
      if (way.mnode.load(relaxed) == &mnode) fold_small(kind, way, core);
    }
    LookupWay& way = lookup_way(core, mnode);
    SpinLock lock(way.lock);
    if (way.mnode.load(relaxed) == &mnode) fold_lookups(way);
  }
}

}  // namespace scalefs::memfs
