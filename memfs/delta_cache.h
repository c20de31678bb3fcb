// Per-core deltas of what many cores change at once: lookup counts, link counts, counts of entries, and the
// latest access, data and change times (Refcache: Clements, Kaashoek, Zeldovich, "RadixVM", EuroSys 2013, section 3.1).
// A core has direct-mapped ways; adding to an object writes only the own core's way. A way that another object
// needs is folded into its object first, unless that one was used often lately: then the other's delta goes to its
// base at once, and takes from the way's count of uses. Else each core's passing objects would put what that core holds of a
// directory that all of them work in into the directory, from whose lines all would read again: the more cores, the more often.
//
// Ways are of four kinds, for those who write one kind need not meet those who read another:
//   * data times and access times, and a directory's counts, with the change times that come with them: all whose
//     answers show attributes read them, and records of data;
//   * links, the count of names of what is no directory: all whose answers show attributes read them, and link, which
//     fails for what has none; records of data do not, nor does link read what data changes;
//   * touches, change times alone: a rename of the object, an xattr, chmod. Only stat and lookup read them; an answer of a
//     call that changes the object shows the change time that the call itself gave (read_answer);
//   * lookups: stat must not touch a line that an open of the same file writes.
//
// Protocol. add(): lock the own core's way (a SpinBit: two threads can be on one core); when it holds
// another object, fold that; when it is empty, set the object's bit in the kind's mask (delta_cores, link_cores,
// touch_cores; before a first access time that of atime_cores), then make the way's seq odd, change, even. A delta that goes
// to the base does it as a fold. Fold: way locked and its seq odd, attr_lock and attr_seq odd, for links also link_seq
// (which is read_links()' attr_seq), add to the base, clear the way, clear the bit. read(): collect the masks, attr_seq, mode_stamp and the seqs of the
// ways that the masks name; read base and ways; collect again; retry when anything moved. Between two
// equal collections nothing changed, so the sum is that of one moment. Where no mask names a way it need not look at
// the masks again (read_once). After some retries it takes the locks.
//
// Notes. What makes an object worth listing (data_half.h: dirty, has pages) says so in its core's way, so that two
// cores that do it at once meet nowhere. collect_notes() hands the notes to the lists, and so does a fold. A note is set after
// what it tells of can be seen, and looked at without a lock when it is there already; who takes it looks at the object
// afterwards. All of that is seq_cst, as in LinkQueue, so one of both sees the other.
//
// Access times. A core that reads looks at the base and all its own ways first: where those say that the access time is
// stale, it sets its own, and only else sums. So a second core may move an access time once more than relatime would, until
// the ways are folded.
//
// Locks: a way, then the object's attr_lock. add() may be called under bucket locks and a log slot; it
// neither allocates nor waits.
//
// Memory: 216 KiB a core.
#pragma once

#include <memory>

#include "base/core.h"
#include "memfs/mnode.h"

namespace scalefs::memfs {

class DataHalf;  // data_half.h

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
  Stamp stamp = 0;  // the largest of the base and the ways that were read
};

class DeltaCache {
 public:
  DeltaCache();
  ~DeltaCache();
  DeltaCache(const DeltaCache&) = delete;
  DeltaCache& operator=(const DeltaCache&) = delete;
  // Where notes go. Before the first one.
  void set_lists(DataHalf& lists) { lists_ = &lists; }

  // The caller keeps the object in memory (a guard, a pin, or a name under its bucket lock). A delta of the
  // ctime alone is a touch; one of nlink and ctime is one of links, but of a directory.
  void add(Mnode& mnode, const MetaDelta& delta);
  void add_lookups(Mnode& mnode, int64_t count);
  // Of an object that add_lookups will soon be called for: fetches what gives way to it.
  void prefetch_lookups(MnodeNo number) const;

  // Writes nothing.
  MetaSums read(const Mnode& mnode) const;
  // Without touches: the ctime is what counts, data and explicit times brought. For answers, whose call knows
  // the ctime that it gave.
  MetaSums read_answer(const Mnode& mnode) const;
  // The same without the times and counts that other cores' data brought, but with their access times: for the answer of a
  // call on a file that has given both times itself (add), so that it does not meet who writes into the file.
  MetaSums read_own(const Mnode& mnode) const;
  // Without touches, links and what ModeWrites change (0): the times that data brought, and a directory's counts.
  MetaSums read_data(const Mnode& mnode) const;
  // Links alone: the count of names of what is no directory, and the stamp that goes with it; the rest is unset.
  MetaSums read_links(const Mnode& mnode) const;

  // --- access times
  // The object was read at `now_ns`; `note`: no record will carry it unless it is noted.
  void set_atime(Mnode& mnode, int64_t now_ns, bool note);
  // The access time need not move at `now_ns`: it is that, or it is newer than both others by at most `fresh_ns`
  // (0: no matter). Reads a way of another core only where base and own way do not say otherwise.
  bool atime_stands(const Mnode& mnode, int64_t now_ns, int64_t fresh_ns) const;
  // Before an explicit one.
  void clear_atimes(Mnode& mnode);

  // --- notes
  static constexpr uint8_t kDirty = 1;   // for DataHalf::dirty
  static constexpr uint8_t kCached = 2;  // for DataHalf::cached; of a file
  static constexpr uint8_t kTimes = 4;   // for DataHalf::dirty, and Mnode::times_unlogged
  void note(Mnode& mnode, uint8_t notes);
  // Lists what was noted before the call.
  void collect_notes();
  // Times that no record carries: are there any; take them.
  bool has_times(const Mnode& mnode) const;
  bool take_times(Mnode& mnode);

  // Folds everything of one core. Objects whose base has no links and no lookups afterwards are queued for review.
  void flush(uint32_t core);
  void flush_all();
  // Forgets the object before its memory is retired; its deltas must be zero or of no interest.
  void forget(Mnode& mnode);
  // Takes the objects queued since the last call, linked by next_review.
  Mnode* take_review();
  // Gives one of them back, as if it had been queued again.
  void review_later(Mnode& mnode);

 private:
  struct Core;
  struct MetaWay;
  struct SmallWay;
  struct LookupWay;
  struct Reading;
  enum class Small { links, touches };
  MetaWay& meta_way(uint32_t core, const Mnode& mnode) const;
  SmallWay& link_way(uint32_t core, const Mnode& mnode) const;
  SmallWay& touch_way(uint32_t core, const Mnode& mnode) const;
  SmallWay& small_way(Small kind, uint32_t core, const Mnode& mnode) const;
  LookupWay& lookup_way(uint32_t core, const Mnode& mnode) const;
  MetaWay& claim(uint32_t core, MetaWay& way, Mnode& mnode);
  void add_small(Small kind, Mnode& mnode, const MetaDelta& delta);
  struct Parts {
    bool data, links, touches, mode;
    bool own = false;  // of data the own core's, and ways with an access time
  };
  template <Parts kParts>
  bool read_once(const Mnode& mnode, MetaSums* s) const;
  template <Parts kParts>
  MetaSums read_parts(const Mnode& mnode) const;
  MetaSums read_locked(const Mnode& mnode) const;
  bool own_notes(const Mnode& mnode, uint8_t notes) const;
  void list(Mnode& mnode, uint8_t notes);
  void fold_meta(MetaWay& way, uint32_t core);
  void fold_small(Small kind, SmallWay& way, uint32_t core);
  void fold_lookups(LookupWay& way);
  void queue_if_zero(Mnode& mnode);

  std::unique_ptr<PerCore<Core>> cores_;
  DataHalf* lists_ = nullptr;
};

}  // namespace scalefs::memfs
