// Sums over the base and the ways (delta_cache.h, "read()").
#include <algorithm>
#include <utility>

#include "memfs/delta_ways.h"

namespace scalefs::memfs {
namespace {

constexpr int kLockFreeTries = 64;

// Which ways may hold something of an object: the cores' bits of deltas, then of touches.
struct Masks {
  uint64_t deltas[2];
  uint64_t touches[2];
};

template <class Visit>
void for_each_core(const uint64_t mask[2], uint32_t cores, Visit visit) {
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
    for_each_core(masks.touches, cores,
                  [&](uint32_t core) { take(cache.touch_way(core, mnode).seq.load(acquire)); });
    return sum;
  }
  void add(MetaSums* s) const {
    bool mtime_ahead = mnode.mtime_ahead.load(acquire);
    bool atime_ahead = mnode.atime_ahead.load(acquire);
    const Stamp set = mnode.mtime_set_stamp.load(acquire);
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
    for_each_core(masks.touches, cores, [&](uint32_t core) {
      const TouchWay& way = cache.touch_way(core, mnode);
      if (way.mnode.load(acquire) != &mnode) return;
      s->ctime_ns = std::max(s->ctime_ns, way.ctime_ns.load(acquire));
      s->stamp = std::max(s->stamp, way.stamp.load(acquire));
    });
  }
};

// One look; false when something moved. The masks stay in registers: copied through memory, they would be waited for
// longer than all the rest takes. Most objects have nothing in any way.
template <bool kMode, bool kTouches>
bool DeltaCache::read_once(const Mnode& mnode, MetaSums* s) const {
  // Acquire: see load_mode. The masks pair with the fetch_or in add() and touch().
  const Stamp mode_stamp = kMode ? mnode.mode_stamp.load(acquire) : 0;
  const uint32_t attr_seq = mnode.attr_seq.load(acquire);
  const uint64_t d0 = mnode.delta_cores[0].load(acquire);
  const uint64_t d1 = mnode.delta_cores[1].load(acquire);
  const uint64_t t0 = kTouches ? mnode.touch_cores[0].load(acquire) : 0;
  const uint64_t t1 = kTouches ? mnode.touch_cores[1].load(acquire) : 0;
  if ((attr_seq & 1) != 0 || (mode_stamp & Mnode::kModeBusy) != 0) return false;
  const bool any = (d0 | d1 | t0 | t1) != 0;
  bool busy = false;
  const uint64_t seqs = any ? Reading{*this, mnode, {{d0, d1}, {t0, t1}}}.seqs(&busy) : 0;
  if (busy) return false;
  load_base(mnode, s);
  if constexpr (kMode) load_mode(mnode, s);
  if (any) Reading{*this, mnode, {{d0, d1}, {t0, t1}}}.add(s);
  const uint64_t moved = (kMode ? mnode.mode_stamp.load(acquire) ^ mode_stamp : 0) |
                         (mnode.attr_seq.load(acquire) ^ attr_seq) |
                         (mnode.delta_cores[0].load(acquire) ^ d0) |
                         (mnode.delta_cores[1].load(acquire) ^ d1) |
                         (kTouches ? mnode.touch_cores[0].load(acquire) ^ t0 : 0) |
                         (kTouches ? mnode.touch_cores[1].load(acquire) ^ t1 : 0);
  return moved == 0 &&
         (!any || Reading{*this, mnode, {{d0, d1}, {t0, t1}}}.seqs(&busy) == seqs);
}

template <bool kMode, bool kTouches>
MetaSums DeltaCache::read_parts(const Mnode& mnode) const {
  MetaSums s;
  for (int i = 0; i < kLockFreeTries; ++i)
    if (read_once<kMode, kTouches>(mnode, &s)) return s;
  s = read_locked(mnode);
  return s;
}

MetaSums DeltaCache::read(const Mnode& mnode) const { return read_parts<true, true>(mnode); }
MetaSums DeltaCache::read_answer(const Mnode& mnode) const {
  return read_parts<true, false>(mnode);
}
MetaSums DeltaCache::read_counts(const Mnode& mnode) const {
  return read_parts<false, false>(mnode);
}

// Holds every core's ways of the object, so that nothing of the base moves. A ModeWrite may be under way, and waits
// for one of the ways then: all are given back before another look.
MetaSums DeltaCache::read_locked(const Mnode& mnode) const NO_THREAD_SAFETY_ANALYSIS {
  auto* const self = const_cast<DeltaCache*>(this);
  MetaSums s;
  for (bool done = false; !done;) {
    for (uint32_t core = 0; core < cores_->size(); ++core) {
      meta_way(core, mnode).lock.lock();
      touch_way(core, mnode).lock.lock();
    }
    for (uint32_t core = 0; core < cores_->size(); ++core) {
      MetaWay& meta = meta_way(core, mnode);
      if (meta.mnode.load(relaxed) == &mnode) self->fold_meta(meta, core);
      TouchWay& touched = touch_way(core, mnode);
      if (touched.mnode.load(relaxed) == &mnode) self->fold_touch(touched, core);
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
  const bool steady = (seq & 1) == 0 && way.seq.load(acquire) == seq && (attr_seq & 1) == 0 &&
                      mnode.attr_seq.load(acquire) == attr_seq;
  if (s.atime_ns == now_ns) return true;
  if (fresh_ns == 0 || !newer(s)) return false;
  // Fresh as far as this core knows.
  uint64_t others = mnode.touch_cores[0].load(acquire) | mnode.touch_cores[1].load(acquire);
  for (uint32_t word = 0; word < 2; ++word) {
    const bool mine_only = cores_->size() <= kMaskBits && own / 64 == word;
    others |= mnode.delta_cores[word].load(acquire) & ~(mine_only ? mask_bit(own) : 0);
  }
  if (!steady || others != 0) {
    s = read_parts<false, true>(mnode);
    if (!newer(s)) return false;
  }
  return now_ns - s.atime_ns < fresh_ns;
}

}  // namespace scalefs::memfs
