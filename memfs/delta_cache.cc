#include "memfs/delta_cache.h"

#include <algorithm>
#include <utility>

#include "base/memory.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kWayBits = 10;
constexpr uint32_t kWays = 1u << kWayBits;
constexpr uint32_t kWords = kWays / 64;
constexpr uint32_t kMaskBits = 128;  // of Mnode::delta_cores
constexpr int kLockFreeTries = 64;

uint32_t way_index(const Mnode& mnode) {
  return static_cast<uint32_t>((mnode.number.v * 0x9e3779b97f4a7c15ull) >> (64 - kWayBits));
}
Atomic<uint64_t>& mask_word(Mnode& mnode, uint32_t core) {
  return mnode.delta_cores[core % kMaskBits / 64];
}
uint64_t mask_bit(uint32_t core) { return uint64_t{1} << (core % 64); }

void mark_used(Atomic<uint64_t>* words, uint32_t index) {
  const uint64_t bit = uint64_t{1} << (index % 64);
  // Relaxed: the way's lock orders; a bit that a flush took away meanwhile is set again.
  if ((words[index / 64].load(relaxed) & bit) == 0) words[index / 64].fetch_or(bit, relaxed);
}

}  // namespace

// One object's deltas on one core. Changed under `lock` with `seq` odd, by release stores; readers
// check `seq` (see read()).
struct alignas(64) DeltaCache::MetaWay {
  SpinBit lock;
  Atomic<uint32_t> seq{0};
  Atomic<Mnode*> mnode{nullptr};
  Atomic<int64_t> nlink{0};
  Atomic<int64_t> entries{0};
  Atomic<int64_t> mtime_ns{0};
  Atomic<int64_t> ctime_ns{0};
  Atomic<Stamp> stamp{0};
  // Of the newest delta that brought an mtime; compared with the object's mtime_set_stamp.
  Atomic<Stamp> mtime_stamp{0};
};

struct DeltaCache::LookupWay {
  SpinBit lock;
  Mnode* mnode = nullptr;
  int64_t count = 0;
};

struct DeltaCache::Core {
  MetaWay meta[kWays];
  LookupWay lookups[kWays];
  alignas(kFalseSharingBytes) Atomic<uint64_t> meta_used[kWords];
  Atomic<uint64_t> lookups_used[kWords];
  Atomic<Mnode*> review{nullptr};  // a stack; pushed by whoever folds, taken as a whole
};

namespace {

// The seq section of a way; its lock is held.
template <class Way>
class WayWrite {
 public:
  explicit WayWrite(Way& way) : way_(way) {
    way.seq.store(way.seq.load(relaxed) + 1, relaxed);  // release stores follow
  }
  ~WayWrite() { way_.seq.store(way_.seq.load(relaxed) + 1, release); }  // pairs with read()
  WayWrite(const WayWrite&) = delete;
  WayWrite& operator=(const WayWrite&) = delete;

 private:
  Way& way_;
};

// Pairs of load and store instead of read-modify-write: only a lock holder writes.
template <class T>
void add_to(Atomic<T>& field, T delta) {
  if (delta != 0) field.store(field.load(relaxed) + delta, release);
}
template <class T>
void raise_to(Atomic<T>& field, T value) {
  if (field.load(relaxed) < value) field.store(value, release);
}

}  // namespace

DeltaCache::DeltaCache() : cores_(std::make_unique<PerCore<Core>>()) {
  memory_count(MemoryClass::delta_cache, static_cast<int64_t>(cores_->size() * sizeof(Core)));
}

DeltaCache::~DeltaCache() {
  memory_count(MemoryClass::delta_cache, -static_cast<int64_t>(cores_->size() * sizeof(Core)));
}

DeltaCache::MetaWay& DeltaCache::meta_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).meta[way_index(mnode)];
}
DeltaCache::LookupWay& DeltaCache::lookup_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).lookups[way_index(mnode)];
}

void DeltaCache::add(Mnode& mnode, const MetaDelta& delta) {
  const uint32_t core = current_core() % cores_->size();
  MetaWay& way = meta_way(core, mnode);
  SpinLock lock(way.lock);
  if (way.mnode.load(relaxed) != &mnode) {
    if (way.mnode.load(relaxed) != nullptr) fold_meta(way, core);
    // Before the delta, so that a reader who cannot see the bit cannot miss a delta either: pairs with
    // the loads in read().
    if ((mask_word(mnode, core).load(relaxed) & mask_bit(core)) == 0)
      mask_word(mnode, core).fetch_or(mask_bit(core), seq_cst);
    mark_used(cores_->at(core).meta_used, way_index(mnode));
  }
  WayWrite write(way);
  if (way.mnode.load(relaxed) != &mnode) way.mnode.store(&mnode, release);
  add_to(way.nlink, delta.nlink);
  add_to(way.entries, delta.entries);
  raise_to(way.mtime_ns, delta.mtime_ns);
  raise_to(way.ctime_ns, delta.ctime_ns);
  raise_to(way.stamp, delta.stamp);
  if (delta.mtime_ns != 0) raise_to(way.mtime_stamp, delta.stamp);
}

void DeltaCache::add_lookups(Mnode& mnode, int64_t count) {
  const uint32_t core = current_core() % cores_->size();
  LookupWay& way = lookup_way(core, mnode);
  SpinLock lock(way.lock);
  if (way.mnode != &mnode) {
    if (way.mnode != nullptr) fold_lookups(way);
    way.mnode = &mnode;
    mark_used(cores_->at(core).lookups_used, way_index(mnode));
  }
  way.count += count;
}

namespace {

// Inside an AttrWrite.
void fold_mtime(Mnode& mnode, int64_t mtime_ns, Stamp stamp) {
  // 0 is no time: an object may show one before 1970.
  if (mtime_ns == 0 || stamp < mnode.mtime_set_stamp.load(relaxed)) return;
  mnode.base_mtime_stamp = std::max(mnode.base_mtime_stamp, stamp);
  if (mnode.mtime_ahead.load(relaxed)) {
    mnode.base_mtime_ns.store(mtime_ns, release);
    mnode.mtime_ahead.store(false, release);
  } else {
    raise_to(mnode.base_mtime_ns, mtime_ns);
  }
}

}  // namespace

// The way's lock is held; it holds an object.
void DeltaCache::fold_meta(MetaWay& way, uint32_t core) {
  Mnode& mnode = *way.mnode.load(relaxed);
  WayWrite way_write(way);
  AttrWrite write(mnode);
  add_to(mnode.base_nlink, way.nlink.load(relaxed));
  add_to(mnode.base_entries, way.entries.load(relaxed));
  fold_mtime(mnode, way.mtime_ns.load(relaxed), way.mtime_stamp.load(relaxed));
  raise_to(mnode.base_ctime_ns, way.ctime_ns.load(relaxed));
  raise_to(mnode.stamp, way.stamp.load(relaxed));
  way.mnode.store(nullptr, release);
  way.nlink.store(0, release);
  way.entries.store(0, release);
  way.mtime_ns.store(0, release);
  way.ctime_ns.store(0, release);
  way.stamp.store(0, release);
  way.mtime_stamp.store(0, release);
  // With more cores than bits several share one, and it stays.
  if (cores_->size() <= kMaskBits) mask_word(mnode, core).fetch_and(~mask_bit(core), acq_rel);
  queue_if_zero(mnode);
}

void DeltaCache::fold_lookups(LookupWay& way) {
  Mnode& mnode = *std::exchange(way.mnode, nullptr);
  const int64_t count = std::exchange(way.count, 0);
  SpinLock lock(mnode.attr_lock);
  mnode.base_lookups += count;
  queue_if_zero(mnode);
}

// attr_lock is held.
void DeltaCache::queue_if_zero(Mnode& mnode) {
  if (mnode.base_lookups > 0 || mnode.base_nlink.load(relaxed) > 0 || mnode.queued_for_review)
    return;
  mnode.queued_for_review = true;
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

namespace {

// Values read between two collections of sequence numbers.
struct Collected {
  uint64_t mask[2];
  uint32_t attr_seq;
  uint64_t seq_sum = 0;  // of the ways named by the mask; each only grows
  bool busy = false;     // something was being changed
};

}  // namespace

MetaSums DeltaCache::read(const Mnode& mnode) const {
  const uint32_t count = cores_->size();
  const auto for_each_way = [&](const uint64_t mask[2], auto&& visit) {
    if ((mask[0] | mask[1]) == 0) return;
    for (uint32_t core = 0; core < count; ++core)
      if (mask[core % kMaskBits / 64] & mask_bit(core)) visit(meta_way(core, mnode));
  };
  const auto collect = [&] {
    Collected c;
    // Acquire everywhere: no later load moves up, and a load that saw a change sees what came before it,
    // the odd sequence number above all. Pairs with WayWrite, AttrWrite and the fetch_or in add().
    c.attr_seq = mnode.attr_seq.load(acquire);
    c.mask[0] = mnode.delta_cores[0].load(acquire);
    c.mask[1] = mnode.delta_cores[1].load(acquire);
    c.busy = c.attr_seq & 1;
    for_each_way(c.mask, [&](const MetaWay& way) {
      const uint32_t seq = way.seq.load(acquire);
      c.busy |= seq & 1;
      c.seq_sum += seq;
    });
    return c;
  };
  const auto sum = [&](const uint64_t mask[2]) {
    MetaSums s;
    s.mode = mnode.mode.load(acquire);
    s.uid = mnode.uid.load(acquire);
    s.gid = mnode.gid.load(acquire);
    s.flags = mnode.flags.load(acquire);
    s.atime_ns = mnode.atime_ns.load(acquire);
    s.nlink = mnode.base_nlink.load(acquire);
    s.entries = mnode.base_entries.load(acquire);
    s.mtime_ns = mnode.base_mtime_ns.load(acquire);
    s.ctime_ns = mnode.base_ctime_ns.load(acquire);
    s.stamp = mnode.stamp.load(acquire);
    bool ahead = mnode.mtime_ahead.load(acquire);
    const Stamp set = mnode.mtime_set_stamp.load(acquire);
    for_each_way(mask, [&](const MetaWay& way) {
      if (way.mnode.load(acquire) != &mnode) return;
      s.nlink += way.nlink.load(acquire);
      s.entries += way.entries.load(acquire);
      const int64_t mtime_ns = way.mtime_ns.load(acquire);
      if (mtime_ns != 0 && way.mtime_stamp.load(acquire) >= set) {
        s.mtime_ns = std::exchange(ahead, false) ? mtime_ns : std::max(s.mtime_ns, mtime_ns);
      }
      s.ctime_ns = std::max(s.ctime_ns, way.ctime_ns.load(acquire));
      s.stamp = std::max(s.stamp, way.stamp.load(acquire));
    });
    return s;
  };
  for (int i = 0; i < kLockFreeTries; ++i) {
    const Collected before = collect();
    if (before.busy) continue;
    const MetaSums sums = sum(before.mask);
    const Collected after = collect();
    if (after.attr_seq == before.attr_seq && after.seq_sum == before.seq_sum &&
        after.mask[0] == before.mask[0] && after.mask[1] == before.mask[1])
      return sums;
  }
  return read_locked(mnode);
}

// Holds every core's way of the object, so that nothing moves.
MetaSums DeltaCache::read_locked(const Mnode& mnode) const NO_THREAD_SAFETY_ANALYSIS {
  auto& m = const_cast<Mnode&>(mnode);
  for (uint32_t core = 0; core < cores_->size(); ++core) meta_way(core, mnode).lock.lock();
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    MetaWay& way = meta_way(core, mnode);
    if (way.mnode.load(relaxed) == &mnode)
      const_cast<DeltaCache*>(this)->fold_meta(way, core);
  }
  m.attr_lock.lock();
  MetaSums s;
  // Relaxed: the locks order.
  s.mode = m.mode.load(relaxed);
  s.uid = m.uid.load(relaxed);
  s.gid = m.gid.load(relaxed);
  s.flags = m.flags.load(relaxed);
  s.atime_ns = m.atime_ns.load(relaxed);
  s.nlink = m.base_nlink.load(relaxed);
  s.entries = m.base_entries.load(relaxed);
  s.mtime_ns = m.base_mtime_ns.load(relaxed);
  s.ctime_ns = m.base_ctime_ns.load(relaxed);
  s.stamp = m.stamp.load(relaxed);
  m.attr_lock.unlock();
  for (uint32_t core = 0; core < cores_->size(); ++core) meta_way(core, mnode).lock.unlock();
  return s;
}

void DeltaCache::fold(Mnode& mnode) {
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    // Seq_cst: pairs with the fetch_or in add().
    if ((mask_word(mnode, core).load(seq_cst) & mask_bit(core)) == 0) continue;
    MetaWay& way = meta_way(core, mnode);
    SpinLock lock(way.lock);
    if (way.mnode.load(relaxed) == &mnode) fold_meta(way, core);
  }
}

void DeltaCache::flush(uint32_t core) {
  Core& c = cores_->at(core);
  for (uint32_t word = 0; word < kWords; ++word) {
    // Relaxed: the ways' locks order what the bits stand for.
    for (uint64_t bits = c.meta_used[word].load(relaxed) ? c.meta_used[word].exchange(0, relaxed)
                                                         : 0;
         bits != 0; bits &= bits - 1) {
      MetaWay& way = c.meta[word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits))];
      SpinLock lock(way.lock);
      if (way.mnode.load(relaxed) != nullptr) fold_meta(way, core);
    }
    for (uint64_t bits =
             c.lookups_used[word].load(relaxed) ? c.lookups_used[word].exchange(0, relaxed) : 0;
         bits != 0; bits &= bits - 1) {
      LookupWay& way = c.lookups[word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits))];
      SpinLock lock(way.lock);
      if (way.mnode != nullptr) fold_lookups(way);
    }
  }
}

void DeltaCache::flush_all() {
  for (uint32_t core = 0; core < cores_->size(); ++core) flush(core);
}

void DeltaCache::forget(Mnode& mnode) {
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    {
      MetaWay& way = meta_way(core, mnode);
      SpinLock lock(way.lock);
      if (way.mnode.load(relaxed) == &mnode) fold_meta(way, core);
    }
    LookupWay& way = lookup_way(core, mnode);
    SpinLock lock(way.lock);
    if (way.mnode == &mnode) fold_lookups(way);
  }
}

}  // namespace scalefs::memfs
