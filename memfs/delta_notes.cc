// Notes in the ways, and the lists that they are handed to (delta_cache.h, "Notes").
#include <algorithm>
#include <vector>

#include "memfs/data_half.h"
#include "memfs/delta_ways.h"
#include "memfs/file_node.h"

namespace scalefs::memfs {

// Lock-free; false also where nothing can be said.
bool DeltaCache::own_notes(const Mnode& mnode, uint8_t notes) const {
  const MetaWay& way = meta_way(cores_->index(), mnode);
  // Acquire: no other object's way was read. Seq_cst: see collect_notes().
  const uint32_t seq = way.seq.load(acquire);
  if ((seq & 1) != 0 || way.mnode.load(acquire) != &mnode) return false;
  return (way.notes.load(seq_cst) & notes) == notes && way.seq.load(acquire) == seq;
}

void DeltaCache::note(Mnode& mnode, uint8_t notes) {
  if (own_notes(mnode, notes)) return;
  const uint32_t core = cores_->index();
  MetaWay& way = meta_way(core, mnode);
  SpinLock lock(way.lock);
  if (!admits(way, way.mnode.load(relaxed), mnode)) return list(mnode, notes);
  claim(core, way, mnode);
  way.notes.store(static_cast<uint8_t>(way.notes.load(relaxed) | notes), seq_cst);
}

void DeltaCache::list(Mnode& mnode, uint8_t notes) {
  // Seq_cst: before the note goes; has_times() looks at the ways first.
  if (notes & kTimes) mnode.times_unlogged.store(true, seq_cst);
  if (notes & (kDirty | kTimes)) lists_->dirty.add(mnode.dirty_link, mnode);
  if (notes & kCached) lists_->cached.add(mnode.file->cached_link(), mnode);
}

// By number, which is about the order in which the objects came. Listed under the way's lock: whoever finds no note
// any more finds the object in the list.
void DeltaCache::collect_notes() {
  struct Noted {
    uint64_t number;
    MetaWay* way;
  };
  std::vector<Noted> found;
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    Core& c = cores_->at(core);
    for_each_used(c.meta_used, [&](uint32_t index) {
      MetaWay& way = c.meta[index];
      if (way.notes.load(seq_cst) == 0) return;
      SpinLock lock(way.lock);
      if (way.notes.load(relaxed) != 0) found.push_back({way.mnode.load(relaxed)->number.v, &way});
    });
  }
  std::sort(found.begin(), found.end(),
            [](const Noted& a, const Noted& b) { return a.number < b.number; });
  for (const Noted& one : found) {
    MetaWay& way = *one.way;
    SpinLock lock(way.lock);
    const uint8_t notes = way.notes.load(relaxed);
    if (notes == 0) continue;
    Mnode& mnode = *way.mnode.load(relaxed);
    // Times stay where they are until somebody takes them: only the object is listed for them.
    way.notes.store(static_cast<uint8_t>(notes & kTimes), seq_cst);
    list(mnode, static_cast<uint8_t>(notes & ~kTimes));
    if (notes & kTimes) lists_->dirty.add(mnode.dirty_link, mnode);
  }
}

bool DeltaCache::has_times(const Mnode& mnode) const {
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    if ((mask_word(mnode.delta_cores, core).load(seq_cst) & mask_bit(core)) == 0) continue;
    const MetaWay& way = meta_way(core, mnode);
    if (way.mnode.load(acquire) == &mnode && (way.notes.load(seq_cst) & kTimes) != 0) return true;
  }
  return mnode.times_unlogged.load(seq_cst);  // last: pairs with list()
}

bool DeltaCache::take_times(Mnode& mnode) {
  bool found = false;
  for (uint32_t core = 0; core < cores_->size(); ++core) {
    if ((mask_word(mnode.delta_cores, core).load(seq_cst) & mask_bit(core)) == 0) continue;
    MetaWay& way = meta_way(core, mnode);
    if ((way.notes.load(seq_cst) & kTimes) == 0) continue;
    SpinLock lock(way.lock);
    const uint8_t notes = way.notes.load(relaxed);
    if (way.mnode.load(relaxed) != &mnode || (notes & kTimes) == 0) continue;
    way.notes.store(static_cast<uint8_t>(notes & ~kTimes), seq_cst);
    found = true;
  }
  if (mnode.times_unlogged.load(seq_cst)) found |= mnode.times_unlogged.exchange(false, seq_cst);
  return found;
}

}  // namespace scalefs::memfs
