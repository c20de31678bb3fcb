// An object in memory: what every type has in common. Files have a FileNode (data), directories a
// DirectoryNode (names).
//
// Attributes stand in three parts, each with its own writers, and readers take no lock and write nothing
// (DeltaCache::read):
//   * what explicit changes set (mode, owner, flags): under `mode_lock`, with `mode_stamp` marked busy (ModeWrite);
//   * base values of counts and times: under `attr_lock`, with `attr_seq` odd (AttrWrite);
//   * everything that many cores change at once (lookups, nlink, entries, the latest access, change and data times):
//     in the delta cache. So the truth is the base plus every core's delta.
//
// Locks, in the order in which they are taken (P1): rename_lock, change_lock, mode_lock, an xattr bucket's lock
// (xattr_table.h), the data half's file mutex, directory buckets (NameLocks), a log slot, a way of the delta cache,
// attr_lock. attr_lock is innermost and held for some tens of instructions.
//
// Stamps. What two operations set to different values they set under one lock, and that lock's owner remembers the last
// stamp given under it: mode_stamp, change_stamp and mtime_set_stamp (explicit times), a bucket's (xattrs). `stamp` is
// older than all those: the creator's, and raised where deltas are folded. An operation takes what the locks that it holds
// remember, and `stamp`, but not what other kinds of changes gave: chmod and setxattr of one file set
// nothing in common but the ctime, which is a maximum in whatever order, so the clock orders them (P1).
//
// A change of names takes from the objects that it links and unlinks `stamp` alone, and from the directories what explicit
// changes gave as well (last_explicit): they decide what a new object gets. Names are ordered by their buckets' locks;
// operations that the object saw through other names met this one in no lock, so the clock orders them (P1),
// and looking at their deltas would touch lines that every writer of the file writes.
//
// Lines (I1). What finding an object reads is constant and stands alone; the other lines are grouped by who writes them:
// chmod and chown; utimes and folds; what is only read in the steady state (masks of cores, pointers);
// locks; and what is written when an object becomes dirty or its lookups are folded. 384 bytes.
//
// Life: alive -> dying -> dead, see reclaim.h. The memory is freed by epoch::retire, so that a pointer
// found under an EpochGuard stays good in that guard; a Pin (impl.h) keeps the object alive beyond.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "base/atomic.h"
#include "base/core.h"
#include "base/mutex.h"
#include "memfs/link_queue.h"
#include "memfs/types.h"

namespace scalefs::memfs {

class DirectoryNode;  // directory.h
class FileNode;       // file_node.h
class XattrTable;     // xattr_table.h

enum class Life : uint8_t { alive, dying, dead };

// What Mnode::Mnode() is given: everything that a new or loaded object starts with.
struct MnodeInit {
  Attr attr;               // nlink, times and all; mnode and the type in mode never change
  MnodeNo parent;          // of a directory
  Stamp stamp = 0;
  int64_t lookups = 0;
  uint64_t entries = 0;    // of a directory
  bool loaded = false;     // stands in a checkpoint: xattrs, names and pages may have to be loaded
  bool tmpfile = false;    // nlink 0 and may be linked
};

// The data of a regular file, made when something asks for it first: most files of a tree that is walked or
// unpacked are never read again.
class LazyFile {
 public:
  LazyFile(uint64_t size, uint64_t blocks_512, bool loaded)
      : size_(size), blocks_512_(blocks_512), loaded_(loaded) {}
  ~LazyFile();
  LazyFile(const LazyFile&) = delete;
  LazyFile& operator=(const LazyFile&) = delete;

  // Allocates the first time, so the caller holds nothing.
  FileNode& operator*() const { return *operator->(); }
  FileNode* operator->() const {
    FileNode* node = node_.load(acquire);  // pairs with make()
    return node != nullptr ? node : make();
  }
  // Null when nothing asked for it yet.
  FileNode* peek() const { return node_.load(acquire); }
  // As stat shows them; makes nothing.
  uint64_t size() const;
  uint64_t blocks_512() const;
  // As it began.
  uint64_t first_size() const { return size_; }

 private:
  FileNode* make() const;
  mutable Atomic<FileNode*> node_{nullptr};
  const uint64_t size_;
  const uint64_t blocks_512_;
  const bool loaded_;
};

struct alignas(64) Mnode {
  explicit Mnode(MnodeInit init);
  ~Mnode();
  Mnode(const Mnode&) = delete;
  Mnode& operator=(const Mnode&) = delete;

  bool is_directory() const { return type == kTypeDirectory; }
  bool is_file() const { return type == kTypeFile; }
  bool is_symlink() const { return type == kTypeSymlink; }
  uint64_t symlink_bytes() const { return file.first_size(); }  // length of the target

  // DT_* values, without <dirent.h>.
  static constexpr uint8_t kTypeDirectory = 4;
  static constexpr uint8_t kTypeFile = 8;
  static constexpr uint8_t kTypeSymlink = 10;

  // --- constant once published
  const MnodeNo number;
  const uint8_t type;
  const bool loaded;
  Atomic<uint8_t> life{static_cast<uint8_t>(Life::alive)};
  const uint32_t generation;
  const uint64_t rdev;
  std::unique_ptr<DirectoryNode> directory;  // of a directory
  // Symlink target: with no backend or when created here, set before publication; of a loaded one
  // null until readlink loads it. Retired by epoch. Acquire loads pair with the release in readlink.
  Atomic<const std::string*> target{nullptr};

  // --- linkage of the mnode table: two chains, so that a resize leaves readers of the old one alone
  Atomic<Mnode*> table_next[2];
  // Of objects whose base has no links and no lookups any more, see DeltaCache::take_review. Protected by attr_lock.
  Mnode* next_review = nullptr;

  // --- what explicit changes set. Written under mode_lock inside a ModeWrite, by release stores; read by acquire
  // loads between two equal values of mode_stamp that are not busy.
  alignas(64) SleepBit mode_lock;
  static constexpr Stamp kModeBusy = Stamp{1} << 63;
  // The last stamp given under mode_lock: strictly ascending, so it serves as a sequence number too.
  Atomic<Stamp> mode_stamp{0};
  Atomic<uint32_t> mode;
  Atomic<uint32_t> uid;
  Atomic<uint32_t> gid;
  Atomic<uint32_t> flags;
  const int64_t btime_ns;  // constant, and read where those are

  // --- base values. Written under attr_lock with attr_seq odd, by release stores; read by acquire
  // loads between two equal even values of attr_seq.
  alignas(64) SpinBit attr_lock;
  // What was set explicitly to later than its setting (mtime, atime) is no time of a change or a reading: the first
  // delta that counts replaces it; anything else can only be raised. The log's reader does the same with the mtime
  // (volume/record_visitor.h), by the same comparison: with the ctime that the setting operation brought. Of
  // an object on disk it is told by its ctime, which differs only where a clock was set back.
  Atomic<bool> mtime_ahead;
  Atomic<bool> atime_ahead;
  bool queued_for_review = false;  // see next_review
  Atomic<uint32_t> attr_seq{0};
  Atomic<int64_t> base_atime_ns;
  Atomic<int64_t> base_mtime_ns;
  Atomic<int64_t> base_ctime_ns;
  Atomic<int64_t> base_entries;
  // An explicit mtime begins a new age of the maxima: deltas stamped below this one do not count for it.
  Atomic<Stamp> mtime_set_stamp{0};
  // Protected by attr_lock, not by attr_seq: the largest stamp of a delta that was folded into base_mtime_ns, and the
  // lookups of folded ways.
  Stamp base_mtime_stamp = 0;
  int64_t base_lookups = 0;

  // --- In the steady state only read. `stamp`: written by folds, inside an AttrWrite.
  alignas(64) Atomic<Stamp> stamp;
  // Which cores' ways may hold a delta, of each kind (bit core % 128). Set before the delta, cleared after the fold.
  Atomic<uint64_t> delta_cores[2];
  Atomic<uint64_t> link_cores[2];
  Atomic<uint64_t> touch_cores[2];
  // The same of ways that have an access time too (bit core % 64), for who knows the other times.
  Atomic<uint64_t> atime_cores;

  // Explicit changes of times, and records of data, which carry times: one at a time. Sleeps; held over the log slot.
  alignas(64) SleepBit change_lock;
  // The last stamp that was given under change_lock. Protected by it.
  Stamp change_stamp = 0;

  // The data half: the object in the queue that dirty_files() reads (data_half.h), and whether it has times that
  // no record carries and no dirty page will bring into one. Where it became so in the steady state a core's way
  // says it (DeltaCache::note).
  ListLink dirty_link;
  Atomic<bool> times_unlogged{false};

  // --- Pointers that are set once, and flags that change once or hardly ever.
  // Null: no xattrs, or (when `loaded`) not loaded yet. Release exchange, acquire loads.
  alignas(64) Atomic<XattrTable*> xattrs{nullptr};
  const LazyFile file;      // of a regular file
  Atomic<bool> tmpfile;     // nlink 0 that may be linked; false after the first link, for ever
  // A write has set-id bits to drop, told apart from the mode so that writes do not read what chmod writes. True before
  // such a mode can be seen, false after it has gone; written under mode_lock.
  Atomic<bool> set_id;
  // A base value too, here with a seq for it and link_cores alone, odd inside an AttrWrite of links: who asks for the
  // count of names does not meet who sets times.
  Atomic<uint32_t> link_seq{0};
  Atomic<int64_t> base_nlink;

  // What operations on names in a directory pass to the log beside the buckets' stamps.
  Stamp last_explicit() const {
    // Acquire: pairs with ModeWrite and AttrWrite; each field alone is enough here.
    const Stamp mode_changed = mode_stamp.load(acquire) & ~kModeBusy;
    const Stamp mtime_set = mtime_set_stamp.load(acquire);
    const Stamp base = stamp.load(acquire);
    return std::max({mode_changed, mtime_set, base});
  }
};

// A change of the fields that mode_stamp covers, from construction to destruction, by the operation with `stamp`. Between
// them fields are stored with release order. mode_lock is held.
class ModeWrite {
 public:
  ModeWrite(Mnode& mnode, Stamp stamp) : mnode_(mnode), stamp_(stamp) {
    // Relaxed: only the holder of mode_lock writes it, and the stores that follow are releases.
    mnode.mode_stamp.store(mnode.mode_stamp.load(relaxed) | Mnode::kModeBusy, relaxed);
  }
  ~ModeWrite() { mnode_.mode_stamp.store(stamp_, release); }  // pairs with DeltaCache::read
  ModeWrite(const ModeWrite&) = delete;
  ModeWrite& operator=(const ModeWrite&) = delete;

 private:
  Mnode& mnode_;
  const Stamp stamp_;
};

// A change of the fields that attr_seq covers, from construction to destruction, and of those that link_seq covers where
// `links`. Between them fields are stored with release order, so that a reader who sees one of them also sees
// the seq odd.
class SCOPED_CAPABILITY AttrWrite {
 public:
  explicit AttrWrite(Mnode& mnode, bool links = false) ACQUIRE(mnode.attr_lock)
      : mnode_(mnode), links_(links) {
    mnode.attr_lock.lock();
    // Relaxed: only the holder of attr_lock writes them, and the stores that follow are releases.
    mnode.attr_seq.store(mnode.attr_seq.load(relaxed) + 1, relaxed);
    if (links) mnode.link_seq.store(mnode.link_seq.load(relaxed) + 1, relaxed);
  }
  ~AttrWrite() RELEASE() {
    // Pairs with DeltaCache::read.
    if (links_) mnode_.link_seq.store(mnode_.link_seq.load(relaxed) + 1, release);
    mnode_.attr_seq.store(mnode_.attr_seq.load(relaxed) + 1, release);
    mnode_.attr_lock.unlock();
  }
  AttrWrite(const AttrWrite&) = delete;
  AttrWrite& operator=(const AttrWrite&) = delete;

 private:
  Mnode& mnode_;
  const bool links_;
};

// As Linux does when data or the owner changes: the set-group-id bit of a file that its group may not
// execute is no privilege.
uint32_t without_set_id(uint32_t mode);

// The type bits of `mode` as DT_*.
inline uint8_t type_of_mode(uint32_t mode) { return static_cast<uint8_t>((mode >> 12) & 15); }

}  // namespace scalefs::memfs
