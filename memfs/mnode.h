// An object in memory: what every type has in common. Files have a FileNode (data), directories a
// DirectoryNode (names).
//
// Attributes. Writers hold `attr_lock` and bump `attr_seq` (odd while they change something), by an
// AttrWrite; readers take no lock and write nothing (DeltaCache::read). Everything that many cores change at once is not
// written here but in the delta cache: lookups, nlink, entries and the latest mtime and ctime. So what
// this struct holds of those is a base, and the truth is the base plus every core's delta
// (DeltaCache::read gives exact sums).
//
// Locks, in the order in which they are taken (P1): rename lock, change_lock, the data half's file mutex,
// directory buckets (NameLocks), a log slot, a way of the delta cache, attr_lock. attr_lock is innermost and held
// for some tens of instructions.
//
// Stamps. `stamp` is the last stamp that was given to an operation that changed attributes, under
// attr_lock; stamps of operations that touched the object through the delta cache are there. A new object starts with its
// creator's.
//
// A change of names takes from the objects that it links and unlinks the base's stamp alone. Names are ordered by their
// buckets' locks; operations that the object saw through other names met this one in no lock, so the
// clock orders them (P1), and looking at their deltas would touch lines that every writer of the file writes.
//
// Lines (I1). What finding an object reads is constant and stands alone; the locks and lists that calls of one kind
// write stand apart from each other, and from what stat and changes of names read.
//
// Life: alive -> dying -> dead, see reclaim.h. The memory is freed by epoch::retire, so that a pointer
// found under an EpochGuard stays good in that guard; a Pin (impl.h) keeps the object alive beyond.
#pragma once

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
class XattrSet;       // xattr_set.h

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
  const int64_t btime_ns;
  std::unique_ptr<DirectoryNode> directory;  // of a directory
  // Symlink target: with no backend or when created here, set before publication; of a loaded one
  // null until readlink loads it. Retired by epoch. Acquire loads pair with the release in readlink.
  Atomic<const std::string*> target{nullptr};

  // --- linkage of the mnode table: two chains, so that a resize leaves readers of the old one alone
  Atomic<Mnode*> table_next[2];

  // --- attributes. Written under attr_lock with attr_seq odd, by release stores; read by acquire
  // loads between two equal even values of attr_seq.
  alignas(64) SpinBit attr_lock;
  Atomic<uint32_t> attr_seq{0};
  Atomic<uint32_t> mode;
  Atomic<uint32_t> uid;
  Atomic<uint32_t> gid;
  Atomic<uint32_t> flags;
  Atomic<int64_t> atime_ns;
  Atomic<int64_t> base_mtime_ns;
  Atomic<int64_t> base_ctime_ns;
  Atomic<int64_t> base_nlink;
  Atomic<int64_t> base_entries;
  Atomic<Stamp> stamp;
  // An explicit mtime begins a new age of the maxima: deltas stamped below this one do not count for it. What was set
  // to later than the ctime (mtime_ahead) is no time of a change, so the first delta that counts replaces
  // it; anything else can only be raised. The same can be told of an object on disk, and the log's reader does the same
  // (volume/record_visitor.h): both show one mtime.
  Atomic<Stamp> mtime_set_stamp{0};
  Atomic<bool> mtime_ahead;
  // The largest stamp of a delta that was folded into base_mtime_ns. Protected by attr_lock, not by attr_seq.
  Stamp base_mtime_stamp = 0;

  // --- Which cores' ways may hold a delta (bit core % 128). Set before the delta, cleared after the
  // fold; in the steady state only read.
  Atomic<uint64_t> delta_cores[2];
  Atomic<uint64_t> parent;  // of a directory: MnodeNo::v; written under the rename lock
  Atomic<bool> tmpfile;     // nlink 0 that may be linked; false after the first link, for ever
  // Explicit changes of attributes and xattrs, one at a time (an ACL is both). Sleeps; held over the
  // log slot.
  alignas(64) Mutex change_lock;
  // The last stamp that was given under change_lock to a change that does not raise `stamp`: of xattrs
  // alone, and of data. Protected by change_lock.
  Stamp change_stamp = 0;

  // The data half: the object in the queue that dirty_files() reads (data_half.h), and whether it has times that
  // no record carries and no dirty page will bring into one.
  alignas(64) ListLink dirty_link;
  Atomic<bool> times_unlogged{false};
  // An immutable set, replaced as a whole and retired by epoch; null: none, or (when `loaded`) not loaded
  // yet. Release store under change_lock, acquire load under an EpochGuard. Who reads xattrs writes nothing, so
  // they stand apart from the lock.
  alignas(64) Atomic<const XattrSet*> xattrs{nullptr};

  // --- lookups: base and review, written at folds. Protected by attr_lock, not by attr_seq.
  int64_t base_lookups = 0;
  bool queued_for_review = false;
  Mnode* next_review = nullptr;

  // --- of a regular file
  alignas(64) const LazyFile file;
};

// A change of the fields that attr_seq covers, from construction to destruction. Between them fields are
// stored with release order, so that a reader who sees one of them also sees attr_seq odd.
class SCOPED_CAPABILITY AttrWrite {
 public:
  explicit AttrWrite(Mnode& mnode) ACQUIRE(mnode.attr_lock) : mnode_(mnode) {
    mnode.attr_lock.lock();
    // Relaxed: only the holder of attr_lock writes it, and the stores that follow are releases.
    mnode.attr_seq.store(mnode.attr_seq.load(relaxed) + 1, relaxed);
  }
  ~AttrWrite() RELEASE() {
    mnode_.attr_seq.store(mnode_.attr_seq.load(relaxed) + 1, release);  // pairs with DeltaCache::read
    mnode_.attr_lock.unlock();
  }
  AttrWrite(const AttrWrite&) = delete;
  AttrWrite& operator=(const AttrWrite&) = delete;

 private:
  Mnode& mnode_;
};

// The type bits of `mode` as DT_*.
inline uint8_t type_of_mode(uint32_t mode) { return static_cast<uint8_t>((mode >> 12) & 15); }

}  // namespace scalefs::memfs
