// Per-core deltas of what many cores change at once: lookup counts, link counts, counts of entries, and the
// latest mtime and ctime (Refcache: Clements, Kaashoek, Zeldovich, "RadixVM", EuroSys 2013, section 3.1). A core has
// direct-mapped ways; adding to an object writes only the own core's way. A way that another object
// needs is folded into its object first.
//
// Lookups have ways of their own: stat reads link counts and times, and must not touch a line that an
// open of the same file writes.
//
// Protocol. add(): lock the own core's way (a SpinBit: two threads can be on one core); when it holds
// another object, fold that; when it is empty, set the object's bit in delta_cores, then
// make the way's seq odd, change, even. Fold: way locked and its seq odd, attr_lock and attr_seq odd,
// add to the base, clear the way, clear the bit. read(): collect delta_cores, attr_seq and the seqs of the
// ways that it names; read base and ways; collect again; retry when anything moved. Between two
// equal collections nothing changed, so the sum is that of one moment. After some retries it takes the locks.
//
// Locks: a way, then the object's attr_lock. add() may be called under bucket locks and a log slot; it
// neither allocates nor waits.
#pragma once

#include <memory>

#include "base/core.h"
#include "memfs/mnode.h"

namespace scalefs::memfs {

// To be added. Times: 0 changes nothing, else the object shows at least this, an mtime unless one was set
// explicitly by an operation with a larger stamp. An mtime that was set explicitly to later than the ctime gives way to
// whatever comes after it (Mnode::mtime_ahead).
struct MetaDelta {
  int64_t nlink = 0;
  int64_t entries = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  Stamp stamp = 0;
};

// What an object shows: everything exact and of one moment.
struct MetaSums {
  uint32_t mode = 0, uid = 0, gid = 0, flags = 0;
  int64_t nlink = 0;
  int64_t entries = 0;
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  Stamp stamp = 0;  // the largest of the base and all ways
};

class DeltaCache {
 public:
  DeltaCache();
  ~DeltaCache();
  DeltaCache(const DeltaCache&) = delete;
  DeltaCache& operator=(const DeltaCache&) = delete;

  // The caller keeps the object in memory (a guard, a pin, or a name under its bucket lock).
  void add(Mnode& mnode, const MetaDelta& delta);
  void add_lookups(Mnode& mnode, int64_t count);

  // Writes nothing.
  MetaSums read(const Mnode& mnode) const;

  // Folds all cores' deltas of one object (not its lookups): before an explicit change of what they count.
  void fold(Mnode& mnode);
  // Folds everything of one core. Objects whose base has no links and no lookups afterwards are queued for review.
  void flush(uint32_t core);
  void flush_all();
  // Forgets the object before its memory is retired; its deltas must be zero or of no interest.
  void forget(Mnode& mnode);
  // Takes the objects queued since the last call, linked by next_review.
  Mnode* take_review();

 private:
  struct Core;
  struct MetaWay;
  struct LookupWay;
  MetaWay& meta_way(uint32_t core, const Mnode& mnode) const;
  LookupWay& lookup_way(uint32_t core, const Mnode& mnode) const;
  MetaSums read_locked(const Mnode& mnode) const;
  void fold_meta(MetaWay& way, uint32_t core);
  void fold_lookups(LookupWay& way);
  void queue_if_zero(Mnode& mnode);

  std::unique_ptr<PerCore<Core>> cores_;
};

}  // namespace scalefs::memfs
