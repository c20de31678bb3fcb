// The data of a regular file: a tree of page slots, the size, and what the log and the checkpoint know of
// both. FileAccess (file_access.h) holds the algorithms.
//
// Locks. `mutex` sleeps; a slot's lock is a SpinBit, innermost, under which nothing sleeps or
// allocates. Order: mutex, log slot, slot's lock.
//
//   reads                    no lock. Page by page: seqlock copy under an EpochGuard into a buffer of the stack,
//                            then to the caller outside (a caller's memory may fault, P6). A page that is flagged
//                            kInside needs no look at the size, so that reads do not meet appends (I1).
//   writes inside the size   the slot's lock; the size is checked again under it, unless the page is flagged
//   writes that extend, truncate, punch, allocate, begin and finish of writeback, and making
//   known what an absent slot stands for             the mutex, then slots one by one
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
//   * Sampling for writeback holds the mutex, so no extending write is between its bytes and its size.
//   * Truncate and punch raise a slot's generation; a sample taken before is stale (P2). A slot in writeback keeps its
//     place in the tree until the end of the writeback.
//   * What the backend said is used only when the durable stamp is still the same: a slot or an interval of the
//     overlay that a newer checkpoint has made superfluous cannot have gone in between (P4).
//
// Sizes. logged_size is the size that the log has. Every record of the file carries covered_size, computed
// under the mutex: the size, or less, when a page at or beyond logged_size holds data that no record has (P2).
//
// One block is reserved for each dirty page, and for each unwritten page that was allocated since the file came
// into memory: `reserved` of the slot, or the overlay's interval for pages without one. A write that
// finds the block reserved gives its own back.
//
// Memory only: nothing is dirty, absent means hole, slots with content are MapKind::memory for ever.
#pragma once

#include <map>
#include <memory>

#include "memfs/link_queue.h"
#include "memfs/memfs.h"
#include "memfs/mnode.h"
#include "memfs/overlay.h"
#include "memfs/page_tree.h"

namespace scalefs::memfs {

// The leaves of a file that may have pages which are dirty or in writeback: noted once by whoever makes
// the first page of a leaf dirty, so that neither fsync nor covered_size looks at clean pages.
class DirtyLeaves {
 public:
  // Under the lock of the leaf's slot that has become dirty. Whoever takes the leaf off looks at its slots
  // afterwards, under their locks, so nothing is missed.
  void note(Leaf& leaf) {
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
  // Of a new file (size 0), or of a loaded one whose pages stand in the checkpoint.
  static std::unique_ptr<FileNode> make(uint64_t size, uint64_t blocks_512, bool loaded);
  // Nothing else runs. Frees the pages.
  ~FileNode();
  FileNode(const FileNode&) = delete;
  FileNode& operator=(const FileNode&) = delete;

  // As stat shows them. Lock-free.
  uint64_t size() const { return size_.load(acquire); }  // pairs with set_size
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

  // What every call reads and hardly any writes.
  PageTree tree_;
  ListLink cached_link_;  // in the list of files that have pages in memory (evict.cc)
  // Written by those who extend and truncate.
  alignas(64) Atomic<uint64_t> size_;
  // Pages that are dirty, on disk, unwritten or in a record; changes when a page becomes one of those or
  // stops to be one. Relaxed: a sum.
  alignas(64) Atomic<int64_t> mapped_pages_;
  // The leaf lists are written when the first page of a leaf becomes dirty.
  alignas(64) DirtyLeaves dirty_;

  alignas(64) Mutex mutex_;
  CondVar writeback_done_;
  Overlay overlay_ GUARDED_BY(mutex_);
  uint64_t logged_size_ GUARDED_BY(mutex_);
  Stamp last_stamp_ GUARDED_BY(mutex_) = 0;
  // Calls of begin_writeback, and how many pages of each are not finished.
  uint64_t writeback_ticket_ GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, size_t> outstanding_ GUARDED_BY(mutex_);
  uint64_t evict_hand_ GUARDED_BY(mutex_) = 0;
  // The file was loaded and has not grown since: a crash may have left mapped pages behind its end. Written under
  // the mutex; relaxed.
  Atomic<bool> tail_unknown_;
  // Where sequential reading would miss next; a hint, relaxed.
  Atomic<uint64_t> next_miss_{0};
};

}  // namespace scalefs::memfs
