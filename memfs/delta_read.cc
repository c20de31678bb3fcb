// Sums over the base and the ways (delta_cache.h, "read()").
#include <algorithm>
#include <utility>

#include "memfs/delta_ways.h"

namespace scalefs::memfs {
namespace {

constexpr int kLockFreeTries = 64;

// Values read between two collections of sequence numbers.
struct Collected {
  uint64_t deltas[2];
  uint64_t touches[2] = {0, 0};
  uint32_t attr_seq;
  Stamp mode_stamp = 0;
  uint64_t seq_sum = 0;  // of the ways named by the masks; each only grows
  bool busy = false;     // something was being changed

  bool operator==(const Collected&) const = default;
};

// The parts that are not counted by cores. Acquire everywhere: no later load moves up, and a load that saw a
// change sees what came before it, the odd sequence number above all. Pairs with ModeWrite and AttrWrite.
void load_mode(const Mnode& mnode, MetaSums* s) {
  s->mode = mnode.mode.load(acquire);
  s->uid = mnode.uid.load(acquire);
  s->gid = mnode.gid.load(acquire);
  s->flags = mnode.flags.load(acquire);
}
MetaSums load_base(const Mnode& mnode) {
  MetaSums s;
  s.atime_ns = mnode.base_atime_ns.load(acquire);
  s.nlink = mnode.base_nlink.load(acquire);
  s.entries = mnode.base_entries.load(acquire);
  s.mtime_ns = mnode.base_mtime_ns.load(acquire);
  s.ctime_ns = mnode.base_ctime_ns.load(acquire);
  s.stamp = mnode.stamp.load(acquire);
  return s;
}

}  // namespace

template <bool kMode, bool kTouches>
MetaSums DeltaCache::read_parts(const Mnode& mnode) const {
  const uint32_t count = cores_->size();
  const auto for_each_way = [&](const uint64_t mask[2], auto&& visit) {
    if ((mask[0] | mask[1]) == 0) return;
    for (uint32_t core = 0; core < count; ++core)
      if (mask[core % kMaskBits / 64] & mask_bit(core)) visit(core);
  };
  const auto collect = [&] {
    Collected c;
    // Acquire: see load_mode; the masks pair with the fetch_or in add() and touch().
    if constexpr (kMode) c.mode_stamp = mnode.mode_stamp.load(acquire);
    c.attr_seq = mnode.attr_seq.load(acquire);
    c.busy = (c.attr_seq & 1) != 0 || (c.mode_stamp & Mnode::kModeBusy) != 0;
    c.deltas[0] = mnode.delta_cores[0].load(acquire);
    c.deltas[1] = mnode.delta_cores[1].load(acquire);
    const auto take = [&](uint32_t seq) {
      c.busy |= seq & 1;
      c.seq_sum += seq;
    };
    for_each_way(c.deltas, [&](uint32_t core) { take(meta_way(core, mnode).seq.load(acquire)); });
    if constexpr (kTouches) {
      c.touches[0] = mnode.touch_cores[0].load(acquire);
      c.touches[1] = mnode.touch_cores[1].load(acquire);
      for_each_way(c.touches,
                   [&](uint32_t core) { take(touch_way(core, mnode).seq.load(acquire)); });
    }
    return c;
  };
  const auto sum = [&](const Collected& c) {
    MetaSums s = load_base(mnode);
    if constexpr (kMode) load_mode(mnode, &s);
    bool mtime_ahead = mnode.mtime_ahead.load(acquire);
    bool atime_ahead = mnode.atime_ahead.load(acquire);
    const Stamp set = mnode.mtime_set_stamp.load(acquire);
    for_each_way(c.deltas, [&](uint32_t core) {
      const MetaWay& way = meta_way(core, mnode);
      if (way.mnode.load(acquire) != &mnode) return;
      s.nlink += way.nlink.load(acquire);
      s.entries += way.entries.load(acquire);
      // 0 is no time: an object may show one before 1970.
      const int64_t atime_ns = way.atime_ns.load(acquire);
      if (atime_ns != 0)
        s.atime_ns = std::exchange(atime_ahead, false) ? atime_ns : std::max(s.atime_ns, atime_ns);
      const int64_t mtime_ns = way.mtime_ns.load(acquire);
      if (mtime_ns != 0 && way.mtime_stamp.load(acquire) >= set)
        s.mtime_ns = std::exchange(mtime_ahead, false) ? mtime_ns : std::max(s.mtime_ns, mtime_ns);
      s.ctime_ns = std::max(s.ctime_ns, way.ctime_ns.load(acquire));
      s.stamp = std::max(s.stamp, way.stamp.load(acquire));
    });
    for_each_way(c.touches, [&](uint32_t core) {
      const TouchWay& way = touch_way(core, mnode);
      if (way.mnode.load(acquire) != &mnode) return;
      s.ctime_ns = std::max(s.ctime_ns, way.ctime_ns.load(acquire));
      s.stamp = std::max(s.stamp, way.stamp.load(acquire));
    });
    return s;
  };
  for (int i = 0; i < kLockFreeTries; ++i) {
    const Collected before = collect();
    if (before.busy) continue;
    const MetaSums sums = sum(before);
    if (collect() == before) return sums;
  }
  return read_locked(mnode);
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
      s = load_base(mnode);
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

MetaSums DeltaCache::read_own(const Mnode& mnode) const {
  const uint32_t core = current_core() % cores_->size();
  MetaSums s = load_base(mnode);
  // Acquire: as in read_parts. A way that is just changing, by another thread on this core, says nothing.
  const auto add = [&](const auto& way, int64_t atime_ns, int64_t mtime_ns, uint32_t seq) {
    const int64_t ctime_ns = way.ctime_ns.load(acquire);
    if (way.mnode.load(acquire) != &mnode || (seq & 1) != 0 || way.seq.load(acquire) != seq) return;
    s.atime_ns = std::max(s.atime_ns, atime_ns);
    s.mtime_ns = std::max(s.mtime_ns, mtime_ns);
    s.ctime_ns = std::max(s.ctime_ns, ctime_ns);
  };
  const MetaWay& meta = meta_way(core, mnode);
  const uint32_t meta_seq = meta.seq.load(acquire);
  add(meta, meta.atime_ns.load(acquire), meta.mtime_ns.load(acquire), meta_seq);
  const TouchWay& touched = touch_way(core, mnode);
  add(touched, 0, 0, touched.seq.load(acquire));
  return s;
}

}  // namespace scalefs::memfs
