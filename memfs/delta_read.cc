// Sums over the base and the ways (delta_cache.h, "read()").
#include <algorithm>
#include <utility>

#include "memfs/delta_ways.h"

namespace scalefs::memfs {
namespace {

constexpr int kLockFreeTries = 64;

// Which ways may hold something of an object: the cores' bits of each kind.
struct Masks {
  uint64_t deltas[2];
  uint64_t links[2];
  uint64_t touches[2];
};

template <class Visit>
void for_each_core(const uint64_t mask[2], uint32_t cores, Visit visit) {
  if ((mask[0] | mask[1]) == 0) return;
  for (uint32_t word = 0; word < 2; ++word)
    for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
      for (uint32_t core = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)); core < cores;
           core += kMaskBits)
        visit(core);
}

// The parts that are not counted by cores. Acquire everywhere: no later load moves up, and a load that saw a
// change sees what came before it, the odd sequence number above all. Pairs with ModeWrite and AttrWrite.
void load_mode(const Mnode& mnode, MetaSums* s) {
  s->mode = mnode.mode.load(acquire);
  s->uid = mnode.uid.load(acquire);
  s->gid = mnode.gid.load(acquire);
  s->flags = mnode.flags.load(acquire);
}
void load_base(const Mnode& mnode, MetaSums* s) {
  s->atime_ns = mnode.base_atime_ns.load(acquire);
  s->nlink = mnode.base_nlink.load(acquire);
  s->entries = mnode.base_entries.load(acquire);
  s->mtime_ns = mnode.base_mtime_ns.load(acquire);
  s->ctime_ns = mnode.base_ctime_ns.load(acquire);
  s->stamp = mnode.stamp.load(acquire);
}

}  // namespace

// Where ways hold something of the object.
struct DeltaCache::Reading {
  const DeltaCache& cache;
  const Mnode& mnode;
  Masks masks;

  // The sum of the ways' sequence numbers, each of which only grows; odd ones show in *busy.
  uint64_t seqs(bool* busy) const {
    uint64_t sum = 0;
    const auto take = [&](uint32_t seq) {
      *busy |= seq & 1;
      sum += seq;
    };
    const uint32_t cores = cache.cores_->size();
    for_each_core(masks.deltas, cores,
                  [&](uint32_t core) { take(cache.meta_way(core, mnode).seq.load(acquire)); });
    for_each_core(masks.links, cores,
                  [&](uint32_t core) { take(cache.link_way(core, mnode).seq.load(acquire)); });
    for_each_core(masks.touches, cores,
                  [&](uint32_t core) { take(cache.touch_way(core, mnode).seq.load(acquire)); });
    return sum;
  }
  void add(MetaSums* s) const {
    const bool any_data = (masks.deltas[0] | masks.deltas[1]) != 0;
    bool mtime_ahead = any_data && mnode.mtime_ahead.load(acquire);
    bool atime_ahead = any_data && mnode.atime_ahead.load(acquire);
    const Stamp set = any_data ? mnode.mtime_set_stamp.load(acquire) : 0;
    const uint32_t cores = cache.cores_->size();
    for_each_core(masks.deltas, cores, [&](uint32_t core) {
      const MetaWay& way = cache.meta_way(core, mnode);
      if (way.mnode.load(acquire) != &mnode) return;
      s->nlink += way.nlink.load(acquire);
      s->entries += way.entries.load(acquire);
      // 0 is no time: an object may show one before 1970.
      const int64_t atime_ns = way.atime_ns.load(acquire);
      if (atime_ns != 0)
        s->atime_ns = std::exchange(atime_ahead, false) ? atime_ns : std::max(s->atime_ns, atime_ns);
      const int64_t mtime_ns = way.mtime_ns.load(acquire);
      if (mtime_ns != 0 && way.mtime_stamp.load(acquire) >= set)
        s->mtime_ns = std::exchange(mtime_ahead, false) ? mtime_ns : std::max(s->mtime_ns, mtime_ns);
      s->ctime_ns = std::max(s->ctime_ns, way.ctime_ns.load(acquire));
      s->stamp = std::max(s->stamp, way.stamp.load(acquire));
    });
    const auto add_small = [&](const SmallWay& way) {
      if (way.mnode.load(acquire) != &mnode) return;
      s->nlink += way.nlink.load(acquire);
      s->ctime_ns = std::max(s->ctime_ns, way.ctime_ns.load(acquire));
      s->stamp = std::max(s->stamp, way.stamp.load(acquire));
    };
    for_each_core(masks.links, cores,
                  [&](uint32_t core) { add_small(cache.link_way(core, mnode)); });
    for_each_core(masks.touches, cores,
                  [&](uint32_t core) { add_small(cache.touch_way(core, mnode)); });
  }
};

// One look; false when something moved. The masks stay in registers: copied through memory, they would be waited for
// longer than all the rest takes. Most objects have nothing in any way, and then the masks are not looked at again: bits
// are cleared only while the seq is odd, so all were clear when the first of them was read, and the base is of then.
template <DeltaCache::Parts kParts>
bool DeltaCache::read_once(const Mnode& mnode, MetaSums* s) const {
  constexpr bool kLinksAlone = kParts.links && !kParts.data && !kParts.touches && !kParts.mode;
  const Atomic<uint32_t>& seq = kLinksAlone ? mnode.link_seq : mnode.attr_seq;
  // Acquire: see load_mode. The masks pair with the fetch_or in claim() and add_small(), and with folds.
  const Stamp mode_stamp = kParts.mode ? mnode.mode_stamp.load(acquire) : 0;
  const uint32_t base_seq = seq.load(acquire);
  const uint64_t atimes = kParts.own ? mnode.atime_cores.load(acquire) : 0;
  const uint32_t self = kParts.own ? cores_->index() : 0;
  const auto data_cores = [&](uint32_t word) -> uint64_t {
    if constexpr (!kParts.own) return mnode.delta_cores[word].load(acquire);
    // An access time's bit stands for cores of both words.
    return atimes | (self % kMaskBits / 64 == word ? mask_bit(self) : 0);
  };
  const uint64_t d0 = kParts.data ? data_cores(0) : 0;
  const uint64_t d1 = kParts.data ? data_cores(1) : 0;
  const uint64_t l0 = kParts.links ? mnode.link_cores[0].load(acquire) : 0;
  const uint64_t l1 = kParts.links ? mnode.link_cores[1].load(acquire) : 0;
  const uint64_t t0 = kParts.touches ? mnode.touch_cores[0].load(acquire) : 0;
  const uint64_t t1 = kParts.touches ? mnode.touch_cores[1].load(acquire) : 0;
  if ((base_seq & 1) != 0 || (mode_stamp & Mnode::kModeBusy) != 0) return false;
  const auto load = [&] {
    if constexpr (kLinksAlone) {
      s->nlink = mnode.base_nlink.load(acquire);
      s->stamp = mnode.stamp.load(acquire);
      return;
    }
    load_base(mnode, s);
    if constexpr (kParts.mode) load_mode(mnode, s);
  };
  const auto stands = [&] {
    return seq.load(acquire) == base_seq &&
           (!kParts.mode || mnode.mode_stamp.load(acquire) == mode_stamp);
  };
  if ((d0 | d1 | l0 | l1 | t0 | t1) == 0) {
    load();
    return stands();
  }
  const auto reading = [&] { return Reading{*this, mnode, {{d0, d1}, {l0, l1}, {t0, t1}}}; };
  bool busy = false;
  const uint64_t seqs = reading().seqs(&busy);
  if (busy) return false;
  load();
  reading().add(s);
  uint64_t moved = 0;
  const auto compare = [&](const Atomic<uint64_t> (&cores)[2], uint64_t first, uint64_t second) {
    moved |= (cores[0].load(acquire) ^ first) | (cores[1].load(acquire) ^ second);
  };
  if constexpr (kParts.data && !kParts.own) compare(mnode.delta_cores, d0, d1);
  if constexpr (kParts.own) moved |= mnode.atime_cores.load(acquire) ^ atimes;
  if constexpr (kParts.links) compare(mnode.link_cores, l0, l1);
  if constexpr (kParts.touches) compare(mnode.touch_cores, t0, t1);
  return stands() && moved == 0 && reading().seqs(&busy) == seqs;
}

template <DeltaCache::Parts kParts>
MetaSums DeltaCache::read_parts(const Mnode& mnode) const {
  MetaSums s;
  for (int i = 0; i < kLockFreeTries; ++i)
    if (read_once<kParts>(mnode, &s)) return s;
  s = read_locked(mnode);
  return s;
}

MetaSums DeltaCache::read(const Mnode& mnode) const {
  return read_parts<Parts{.data = true, .links = true, .touches = true, .mode = true}>(mnode);
}
MetaSums DeltaCache::read_answer(const Mnode& mnode) const {
  return read_parts<Parts{.data = true, .links = true, .touches = false, .mode = true}>(mnode);
}
MetaSums DeltaCache::read_own(const Mnode& mnode) const {
  return read_parts<Parts{.data = true, .links = true, .touches = false, .mode = true, .own = true}>(mnode);
}
MetaSums DeltaCache::read_data(const Mnode& mnode) const {
  return read_parts<Parts{.data = true, .links = false, .touches = false, .mode = false}>(mnode);
}
MetaSums DeltaCache::read_links(const Mnode& mnode) const {
  return read_parts<Parts{.data = false, .links = true, .touches = false, .mode = false}>(mnode);
}

// Holds every core's ways of the object, so that nothing of the base moves. A ModeWrite may be under way, and waits
// for one of the ways then: all are given back before another look.
MetaSums DeltaCache::read_locked(const Mnode& mnode) const NO_THREAD_SAFETY_ANALYSIS {
  auto* const self = const_cast<DeltaCache*>(this);
  MetaSums s;
  for (bool done = false; !done;) {
    for (uint32_t core = 0; core < cores_->size(); ++core) {
      meta_way(core, mnode).lock.lock();
      link_way(core, mnode).lock.lock();
      touch_way(core, mnode).lock.lock();
    }
    for (uint32_t core = 0; core < cores_->size(); ++core) {
      MetaWay& meta = meta_way(core, mnode);
      if (meta.mnode.load(relaxed) == &mnode) self->fold_meta(meta, core);
      for (const Small kind : {Small::links, Small::touches}) {
        SmallWay& way = small_way(kind, core, mnode);
        if (way.mnode.load(relaxed) == &mnode) self->fold_small(kind, way, core);
      }
    }
    {
      SpinLock lock(const_cast<Mnode&>(mnode).attr_lock);
      load_base(mnode, &s);
    }
    const Stamp before = mnode.mode_stamp.load(acquire);
    load_mode(mnode, &s);
    done = (before & Mnode::kModeBusy) == 0 && mnode.mode_stamp.load(acquire) == before;
    for (uint32_t core = 0; core < cores_->size(); ++core) {
      meta_way(core, mnode).lock.unlock();
      link_way(core, mnode).lock.unlock();
      touch_way(core, mnode).lock.unlock();
    }
  }
  return s;
}

bool DeltaCache::atime_stands(const Mnode& mnode, int64_t now_ns, int64_t fresh_ns) const {
  const uint32_t own = cores_->index();
  const auto newer = [&](const MetaSums& s) { return s.atime_ns > s.mtime_ns && s.atime_ns > s.ctime_ns; };
  // Acquire: as in read_once.
  const uint32_t attr_seq = mnode.attr_seq.load(acquire);
  MetaSums s;
  load_base(mnode, &s);
  const MetaWay& way = meta_way(own, mnode);
  const uint32_t seq = way.seq.load(acquire);
  const bool mine = way.mnode.load(acquire) == &mnode;
  const int64_t atime_ns = mine ? way.atime_ns.load(acquire) : 0;
  if (atime_ns != 0)
    s.atime_ns = mnode.atime_ahead.load(acquire) ? atime_ns : std::max(s.atime_ns, atime_ns);
  if (mine) s.mtime_ns = std::max(s.mtime_ns, way.mtime_ns.load(acquire));
  if (mine) s.ctime_ns = std::max(s.ctime_ns, way.ctime_ns.load(acquire));
  bool steady = (seq & 1) == 0 && way.seq.load(acquire) == seq && (attr_seq & 1) == 0 &&
                mnode.attr_seq.load(acquire) == attr_seq;
  if (s.atime_ns == now_ns) return true;
  if (fresh_ns == 0 || !newer(s)) return false;
  const uint64_t mine_only = cores_->size() <= kMaskBits ? mask_bit(own) : 0;
  const uint32_t word = own % kMaskBits / 64;
  const uint64_t links = mnode.link_cores[word].load(acquire);
  const uint64_t touches = mnode.touch_cores[word].load(acquire);
  if (((links | touches) & mine_only) != 0) {
    // What this core has changed besides.
    const auto take = [&](const SmallWay& small) {
      const uint32_t before = small.seq.load(acquire);
      if (small.mnode.load(acquire) == &mnode)
        s.ctime_ns = std::max(s.ctime_ns, small.ctime_ns.load(acquire));
      steady = steady && (before & 1) == 0 && small.seq.load(acquire) == before;
    };
    if ((links & mine_only) != 0) take(link_way(own, mnode));
    if ((touches & mine_only) != 0) take(touch_way(own, mnode));
    if (!newer(s)) return false;
  }
  // Fresh as far as this core knows.
  const uint64_t others = ((mnode.delta_cores[word].load(acquire) | links | touches) & ~mine_only) |
                          mnode.delta_cores[1 - word].load(acquire) |
                          mnode.link_cores[1 - word].load(acquire) |
                          mnode.touch_cores[1 - word].load(acquire);
  if (!steady || others != 0) {
    s = read_parts<Parts{.data = true, .links = true, .touches = true, .mode = false}>(mnode);
    if (!newer(s)) return false;
  }
  return now_ns - s.atime_ns < fresh_ns;
}

}  // namespace scalefs::memfs
