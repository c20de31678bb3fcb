// The data of a regular file: a tree of page slots, the size, and what the log and the checkpoint know of
// both. FileAccess (file_access.h) holds the algorithms.
//
// Two parts. The first pages (PageTree::kHeadPages) have their slots in the file itself, always, and everything that is
// true of one of them alone stands in two lines of its own: the slot, and a PageMark with what it stands for, whether it
// counts for st_blocks, and how far a call has extended the file there. So calls on different pages of a small file
// share no written line, and a write inside it is not met by stat and lseek (I1). The rest of the file is
// under `mutex`: the overlay, leaves that may be dirty, the count of mapped pages, a size beyond the first pages.
//
// Locks. A slot's `hold` (first pages) and `mutex` (the rest) sleep; RangeHold takes those of a range, ascending, `mutex`
// last. A slot's `lock` is a SpinBit, innermost, under which nothing sleeps or allocates. Order:
// change_lock, tail_mutex, holds ascending, mutex, log slot, slot's lock.
//
//   reads, SEEK_DATA and SEEK_HOLE in the first pages
//                            no lock. Page by page: seqlock copy under an EpochGuard into a buffer of the stack,
//                            then to the caller outside (a caller's memory may fault, P6);
//                            a Buffer::own is copied to at once, several pages under one guard (page_run.h). A page that is flagged
//                            kInside, or whose mark's `end` lies behind, needs no look at the size, so that reads do not
//                            meet appends (I1).
//   writes inside the size   the slot's lock; the size is checked again under it, unless the page is flagged or its
//                            own `end` tells
//   writes that extend, punch, allocate
//                            a RangeHold of their pages, then slots one by one
//   truncate                 freezes the size (SizeFreeze) from the page of the new size on, a RangeHold of the pages
//                            from the one that is cut on that stand for something, and of the mutex
//   append                   freezes the size, a RangeHold of its pages
//   begin of writeback       the mutex, then slots one by one
//   finish of writeback      a RangeHold of the pages, with the mutex, then slots one by one
//   making known what an absent slot stands for             the mutex, then the slot
//   misses                   no lock while the backend works; what came back is put under mutex or slot lock, if
//                            nothing is there yet (P4)
//
// Why that holds together.
//   * Truncate stores the size first and then visits the slots. A writer inside the size holds the slot's lock and
//     reads the size: either it still sees the old size, and the visit that follows drops what it wrote, or it
//     sees the new one and goes the way of extending writes.
//   * A slot that is absent is not written: its meaning is found out first, under the mutex. So no write can
//     hide in a slot that truncate, which holds the mutex, has not seen.
//   * The size is published after the bytes (release/acquire): who sees the size sees them. Bytes of
//     a page in memory behind the size are zero.
//   * Sampling for writeback takes the slot's lock, and beyond the first pages the mutex, so no extending write is
//     between its bytes and its size.
//   * Truncate and punch raise a slot's generation; a sample taken before is stale (P2). A slot in writeback keeps its
//     place in the tree until the end of the writeback.
//   * Records of one page are stamped in the order in which they hold its RangeHold: a slot of the first pages keeps
//     the stamp of the last, beyond it is last_stamp_. A truncation holds no page that stands for nothing; who maps one
//     afterwards looks at cut_stamp_.
//   * What the backend said is used only when the durable stamp is still the same: a slot or an interval of the
//     overlay that a newer checkpoint has made superfluous cannot have gone in between (P4).
//
// The size is the largest of the first pages' `end`s and rest_size_. A call that extends the file in a first page raises
// that page's `end` only, so two of them meet in no line; beyond the first pages they raise rest_size_. So does a truncation
// that makes the file longer, wherever, so that it is not met by calls on the page in which the file ended. Who must
// know the size reads cuts_, rest_size_ and from behind the first end that is not 0, once more what lies behind the size that
// follows, and cuts_ again: in between they only grow, so the result was the size when the end of its page was
// read. Whether a byte lies inside depends on its own page and those behind, so nothing else is read; and getattr flags
// the holes that lie inside, so that their readers need not look further. Truncate lowers the largest end last, so that
// for them too the size changes at once, with cuts_ odd meanwhile, so that stat does not show the old one to
// who has seen the new one.
//
// Who makes the file longer or maps pages of it takes its RangeHold and then looks at `frozen_`; who freezes the size sets that
// and then waits for every hold behind the end and, where the rest is in use, the mutex to be free once (all seq_cst).
// So either the one sees the hold, or the other sees the mark, lets go, and waits at tail_mutex. A truncation waits for no
// hold in front of the page in which the new size lies: who extends the file there has no part in what its size will be, and
// what he writes is in no record yet; that he came first or last is the same.
//
// Sizes in records. logged_size is the size that the log has. Records of writeback and truncate carry covered_size, computed
// under the mutex: the size, or less, when a page at or beyond logged_size holds data that no record has (P2).
// Those of punch and allocate leave the size as the log has it (kSizeUnchanged), so they look at no other page; a
// size that allocate has grown is logged like that of a write.
//
// One block is reserved for each dirty page, and for each unwritten page that was allocated since the file came
// into memory: `reserved` of the slot, or the overlay's interval for pages without one. A write that
// finds the block reserved gives its own back.
//
// A slot of the first pages is never forgotten: a hole is known as one, and the overlay has nothing of them. Absent
// are those of a loaded file that nobody asked for yet (not PageMark::kKnown), and evicted ones.
//
// Memory only: nothing is dirty, absent means hole, slots with content are MapKind::memory for ever.
//
// Costs: 1792 bytes a file whose data was ever touched (16 lines of it are the first 8 pages), and no leaf for the first
// 32 KiB.
#pragma once

#include <map>
#include <memory>

#include "memfs/link_queue.h"
#include "memfs/memfs.h"
#include "memfs/mnode.h"
#include "memfs/overlay.h"
#include "memfs/page_tree.h"

namespace scalefs::memfs {

// The leaves of a file that may have pages which are dirty or in writeback, but for the head, which is always looked
// at: noted once by whoever makes the first page of a leaf dirty, so that neither fsync nor covered_size looks at
// clean pages.
class DirtyLeaves {
 public:
  // Under the lock of the leaf's slot that has become dirty. Whoever takes the leaf off looks at its slots
  // afterwards, under their locks, so nothing is missed.
  void note(Leaf& leaf) {
    if (leaf.is_head()) return;
    if (leaf.listed.load(acquire) || leaf.listed.exchange(true, acq_rel)) return;
    push(leaf);
  }

  // The rest under the file's mutex.
  using Leaves = std::map<uint64_t, Leaf*>;  // by first page
  // All of them; what was noted meanwhile included.
  Leaves& collect();
  // May be true when nothing is dirty any more. seq_cst: pairs with LinkQueue's visit.
  bool any() const { return !leaves_.empty() || fresh_.load(seq_cst) != nullptr; }
  // Around a look at the leaf's slots: unlisted first, so that a page that becomes dirty behind the look lists
  // the leaf again. Answers what follows in the set.
  static void begin_look(Leaf& leaf) { leaf.listed.store(false, release); }
  Leaves::iterator end_look(Leaves::iterator at, bool keep);
  // For a leaf without dirty pages that is about to be freed. False: it was noted since collect().
  bool remove(Leaf& leaf);

 private:
  void push(Leaf& leaf);
  Atomic<Leaf*> fresh_{nullptr};  // a stack, taken whole
  Leaves leaves_;
};

class FileNode {
 public:
  // Around what makes a page's mark or logged_size_ say that a record carries it, to behind the record's end in the log, or to
  // where the page is dirty again. The file's mutex is held. Whoever sees what was made so inside, by acquire loads,
  // and then `settling_` false, comes behind that record.
  class Settling {
   public:
    explicit Settling(FileNode& node) : node_(node) { node_.settling_.store(true, release); }
    ~Settling() { node_.settling_.store(false, release); }  // pairs with FileAccess::all_logged
    Settling(const Settling&) = delete;
    Settling& operator=(const Settling&) = delete;

   private:
    FileNode& node_;
  };

  // Of a new file (size 0), or of a loaded one whose pages stand in the checkpoint.
  static std::unique_ptr<FileNode> make(uint64_t size, uint64_t blocks_512, bool loaded);
  // Nothing else runs. Frees the pages.
  ~FileNode();
  FileNode(const FileNode&) = delete;
  FileNode& operator=(const FileNode&) = delete;

  // As stat shows them, exact at one moment each. Lock-free.
  uint64_t size() const;
  // Flags holes that lie inside the file's first `size` bytes, which it has or had.
  void note_holes(uint64_t size);
  uint64_t blocks_512() const;
  // setattr's size: sets it, logs a TruncateOp, sets mtime and ctime to `now_ns`. Reserves by itself, so the
  // caller holds nothing; the object is pinned. EFBIG, EIO.
  static Status truncate(MemFs::Impl& impl, Mnode& mnode, uint64_t size, int64_t now_ns);
  // The object is dead: no call on it can begin any more. Frees every page and leaves the list of
  // files with pages.
  void drop_all(MemFs::Impl& impl, Mnode& mnode);
  // In DataHalf::cached.
  ListLink& cached_link() { return cached_link_; }

 private:
  friend class FileAccess;
  FileNode(uint64_t size, uint64_t blocks_512, bool loaded);

  friend class RangeHold;
  friend class SizeFreeze;

  // --- file_size.cc
  // A byte count that is right for the bytes of `page` and those behind.
  uint64_t size_from(uint64_t page) const;
  // The file's first `bytes` lie inside: what the last one's page says of itself, else what those behind do.
  bool covers(uint64_t bytes) const;
  // The page lies inside, says one behind it. In the page's slot and mark from now on.
  bool note_inside(uint64_t page);
  // Nobody extends the file: SizeFreeze. A guess otherwise.
  uint64_t frozen_size() const;
  // Of a call that holds the last of the file's first `bytes`, or has frozen the size.
  void raise_size(uint64_t bytes);
  // The size is frozen.
  void store_size(uint64_t size);

  // What every call reads and hardly any writes.
  PageTree tree_;
  ListLink cached_link_;  // in the list of files that have pages in memory (evict.cc)
  // The file was loaded and has not grown since: a crash may have left mapped pages behind its end, and bytes in its
  // last page. Written with all pages held; relaxed.
  Atomic<bool> tail_unknown_;
  // Something may stand behind the first pages; for ever. seq_cst for SizeFreeze.
  Atomic<bool> rest_used_;
  void note_rest() {
    if (!rest_used_.load(relaxed)) rest_used_.store(true, seq_cst);
  }
  // The size where that is beyond the first pages, or what a truncation has made it; 0 when that was shorter. Release
  // stores, acquire loads.
  alignas(64) Atomic<uint64_t> rest_size_{0};
  // Pages that are dirty, on disk, unwritten or in a record, but for what slots of the first pages count; changes when
  // a page becomes one of those or stops to be one. Relaxed: a sum.
  alignas(64) Atomic<int64_t> mapped_pages_;
  // Appends and truncations, one at a time.
  alignas(64) Mutex tail_mutex_;
  Atomic<bool> frozen_{false};  // seq_cst
  Atomic<uint32_t> cuts_{0};    // odd while store_size() lowers the size
  Atomic<Stamp> cut_stamp_{0};  // of the last truncation; written with the size frozen
  // The leaf lists are written when the first page of a leaf becomes dirty.
  alignas(64) DirtyLeaves dirty_;

  alignas(64) Mutex mutex_;
  CondVar writeback_done_;
  Overlay overlay_ GUARDED_BY(mutex_);
  // Written under the mutex; release, for all_logged().
  Atomic<uint64_t> logged_size_;
  // What the marks and logged_size_ say is ahead of the log (Settling).
  Atomic<bool> settling_{false};
  // Of the first pages, a bit each: a call that extended the file, or a truncation, has ended inside the page, and it is
  // kOpen. For truncate, which must not make the file longer in the log over bytes of its last page that the log has
  // not; apart from the marks, so that what writeback changes is met by nobody who asks the marks. Written under the
  // slot's lock; relaxed: who asks holds the pages.
  Atomic<uint8_t> tails_open_{0};
  Stamp last_stamp_ GUARDED_BY(mutex_) = 0;
  // Calls of begin_writeback, and how many pages of each are not finished.
  uint64_t writeback_ticket_ GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, size_t> outstanding_ GUARDED_BY(mutex_);
  uint64_t evict_hand_ GUARDED_BY(mutex_) = 0;
  // Where sequential reading would miss next; a hint, relaxed.
  Atomic<uint64_t> next_miss_{0};
};

}  // namespace scalefs::memfs
