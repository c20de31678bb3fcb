// The ways of the delta cache (delta_cache.h): what one core holds of one object. Only the cache's own
// files include this.
#pragma once

#include "memfs/delta_cache.h"

namespace scalefs::memfs {

inline constexpr uint32_t kWayBits = 10;
inline constexpr uint32_t kWays = 1u << kWayBits;
inline constexpr uint32_t kWayWords = kWays / 64;
inline constexpr uint32_t kMaskBits = 128;  // of Mnode::delta_cores, link_cores and touch_cores
inline constexpr uint32_t kAtimeBits = 64;  // of atime_cores

inline uint32_t way_index(MnodeNo number) {
  return static_cast<uint32_t>((number.v * 0x9e3779b97f4a7c15ull) >> (64 - kWayBits));
}
inline uint32_t way_index(const Mnode& mnode) { return way_index(mnode.number); }
inline uint64_t mask_bit(uint32_t core) { return uint64_t{1} << (core % 64); }
template <class Words>
auto& mask_word(Words& words, uint32_t core) {
  return words[core % kMaskBits / 64];
}

// One object's data times, access time and counts of a directory on one core. Changed under `lock` with `seq` odd, by release stores;
// readers check `seq` (see DeltaCache::read). `notes` stand outside of that.
struct alignas(64) DeltaCache::MetaWay {
  SpinBit lock;
  Atomic<uint8_t> notes{0};
  uint8_t uses = 0;  // see admits()
  Atomic<uint32_t> seq{0};
  Atomic<Mnode*> mnode{nullptr};
  Atomic<int32_t> nlink{0};
  Atomic<int32_t> entries{0};
  Atomic<int64_t> atime_ns{0};
  Atomic<int64_t> mtime_ns{0};
  Atomic<int64_t> ctime_ns{0};
  Atomic<Stamp> stamp{0};
  // Of the newest delta that brought an mtime; compared with the object's mtime_set_stamp.
  Atomic<Stamp> mtime_stamp{0};
};

// The same of a change time, and where it is one of links, of their count.
struct alignas(64) DeltaCache::SmallWay {
  SpinBit lock;
  uint8_t uses = 0;
  Atomic<uint32_t> seq{0};
  Atomic<Mnode*> mnode{nullptr};
  Atomic<int64_t> nlink{0};
  Atomic<int64_t> ctime_ns{0};
  Atomic<Stamp> stamp{0};
};

struct DeltaCache::LookupWay {
  SpinBit lock;
  uint8_t uses = 0;
  Atomic<Mnode*> mnode{nullptr};  // written under the lock; relaxed outside, for a prefetch
  int64_t count = 0;
};

struct DeltaCache::Core {
  MetaWay meta[kWays];
  SmallWay links[kWays];
  SmallWay touches[kWays];
  LookupWay lookups[kWays];
  // Which ways hold an object: set and cleared under the way's lock. seq_cst: collect_notes() must not miss one.
  alignas(kFalseSharingBytes) Atomic<uint64_t> meta_used[kWayWords];
  Atomic<uint64_t> links_used[kWayWords];
  Atomic<uint64_t> touches_used[kWayWords];
  Atomic<uint64_t> lookups_used[kWayWords];
  Atomic<Mnode*> review{nullptr};  // a stack; pushed by whoever folds, taken as a whole
};

inline DeltaCache::MetaWay& DeltaCache::meta_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).meta[way_index(mnode)];
}
inline DeltaCache::SmallWay& DeltaCache::link_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).links[way_index(mnode)];
}
inline DeltaCache::SmallWay& DeltaCache::touch_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).touches[way_index(mnode)];
}
inline DeltaCache::SmallWay& DeltaCache::small_way(Small kind, uint32_t core,
                                                   const Mnode& mnode) const {
  return kind == Small::links ? link_way(core, mnode) : touch_way(core, mnode);
}
inline DeltaCache::LookupWay& DeltaCache::lookup_way(uint32_t core, const Mnode& mnode) const {
  return cores_->at(core).lookups[way_index(mnode)];
}

// By Core's words of used ways: visit(index).
template <class Visit>
void for_each_used(const Atomic<uint64_t>* words, Visit visit) {
  for (uint32_t word = 0; word < kWayWords; ++word)
    for (uint64_t bits = words[word].load(seq_cst); bits != 0; bits &= bits - 1)
      visit(word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)));
}

// For so many uses the way stays with its object once when another one asks for it.
inline constexpr uint8_t kOftenUsed = 8;

// Whether a delta of the object goes into the way; else it goes into the object's base. The way's lock is held.
template <class Way>
bool admits(Way& way, const Mnode* holder, const Mnode& mnode) {
  if (holder == &mnode) {
    if (way.uses < UINT8_MAX) ++way.uses;
    return true;
  }
  if (holder != nullptr && way.uses >= kOftenUsed) {
    way.uses -= kOftenUsed;
    return false;
  }
  way.uses = 0;
  return true;
}

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

}  // namespace scalefs::memfs
