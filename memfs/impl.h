// What stands behind MemFs, shared by its two halves. Names and attributes: names.cc (lookup forget
// mknod mkdir symlink create tmpfile link unlink rmdir readlink), rename.cc, readdir.cc, attributes.cc,
// xattr.cc, acl.cc, maintain.cc, over mnode_table, delta_cache, directory. Data: read_write.cc, truncate.cc,
// allocate.cc, writeback.cc, evict.cc, over file_node and page_tree.
//
// The course of a call that changes something (P1, P6):
//   Pin pin = find and keep the objects;                no lock, may load
//   Reservation room(impl); room.take(need);            may wait, holds nothing
//   auto record = impl.make_record(SomeOp{...});        null when nothing is logged
//   lock the objects;
//   { LogSlot slot(impl); Stamp s = slot.stamp(at_least); publish; deltas.add(...); slot.append(record); }
//   unlock; room.keep();
#pragma once

#include <memory>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "memfs/data_half.h"
#include "memfs/delta_cache.h"
#include "memfs/memfs.h"
#include "memfs/mnode.h"
#include "memfs/mnode_numbers.h"
#include "memfs/mnode_table.h"
#include "memfs/record_places.h"

namespace scalefs::memfs {

class Reclaimer;

struct MemFs::Impl {
  Impl(const MemFsOptions& options, oplog::OpLog* log, Backend* backend);
  ~Impl();

  const MemFsOptions options;
  oplog::OpLog* const log;     // null: memory only
  Backend* const backend;      // null exactly when log is

  MnodeTable table;
  DeltaCache deltas;
  MnodeNumbers numbers;
  // Renames of directories to another parent that have met others (tree_move.h), one at a time. Outermost lock.
  alignas(64) Mutex rename_lock;
  // Records up to here are in the checkpoint that loaders read. Release in set_durable_stamp,
  // acquire where something is dropped.
  alignas(64) Atomic<Stamp> durable_stamp{0};
  std::unique_ptr<DataHalf> data;  // state of the data half; defined in data_half.h

  // Directories that may hold tombstones; maintain.cc.
  alignas(64) Mutex tombstones_lock;
  std::vector<MnodeNo> tombstone_directories GUARDED_BY(tombstones_lock);
  void note_tombstone(Mnode& directory);
  alignas(64) std::unique_ptr<Reclaimer> reclaimer;  // reclaim.h

  bool logging() const { return log != nullptr; }

  // The object, or null when there is none (any more). The caller holds an EpochGuard, and uses the
  // pointer in it only.
  Mnode* find(MnodeNo number) const { return table.find(number); }

  // A record for `op`, null when nothing is logged. Allocates: before the first lock. `cost` is what was reserved for
  // it in Need::log_bytes.
  template <class Op>
  std::unique_ptr<OpRecord> make_record(Op op, uint64_t cost) const {
    if (log == nullptr) return nullptr;
    auto record = std::make_unique<OpRecord>();
    record->cost_bytes = static_cast<uint32_t>(cost);
    record->cost_places = places_of(op);
    record->op = std::move(op);
    return record;
  }

  // --- attributes.cc
  // Exact at one moment, of any object.
  Attr attributes(const Mnode& mnode) const;
  // The same after a call that gave the object this ctime, which is the answer's: reads no line that others write who
  // change the ctime alone.
  Attr answer(const Mnode& mnode, int64_t ctime_ns) const;
  // The same where the call gave a file both mtime and ctime: what others write into it is not met either.
  Attr answer_own(const Mnode& mnode, int64_t now_ns) const;
  // atime after a read, by relatime or strictatime. Logged later (log_attributes).
  void touch_atime(Mnode& mnode);
  // Drops set-user-id and set-group-id bits as a write does, when they are there. Logs a SetAttrOp;
  // may wait for room, so the caller holds nothing.
  Status kill_set_id(Mnode& mnode);

  // --- data half
  // The object has times or a size that no record carries: dirty_files() shall name it. Any type. Cheap when it is
  // listed already. Takes no lock that is held during anything that waits.
  void mark_times_dirty(Mnode& mnode);
};

// Keeps an object in memory beyond an epoch: one lookup count, given back at the end. Cheap and local
// (delta cache).
class Pin {
 public:
  Pin() = default;
  // ESTALE when there is no such object. Takes an EpochGuard of its own.
  static Result<Pin> of(MemFs::Impl& impl, MnodeNo number);
  // Adds one; the caller holds an EpochGuard and found `mnode` in it.
  static Result<Pin> under_guard(MemFs::Impl& impl, Mnode* mnode);
  Pin(Pin&& other) noexcept : impl_(other.impl_), mnode_(other.release()) {}
  Pin& operator=(Pin&& other) noexcept {
    reset();
    impl_ = other.impl_;
    mnode_ = other.release();
    return *this;
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { reset(); }

  Mnode* get() const { return mnode_; }
  Mnode* operator->() const { return mnode_; }
  Mnode& operator*() const { return *mnode_; }
  explicit operator bool() const { return mnode_ != nullptr; }
  // The count stays (it is the caller's lookup now).
  Mnode* release() {
    Mnode* mnode = mnode_;
    mnode_ = nullptr;
    return mnode;
  }
  void reset();

 private:
  Pin(MemFs::Impl* impl, Mnode* mnode) : impl_(impl), mnode_(mnode) {}
  MemFs::Impl* impl_ = nullptr;
  Mnode* mnode_ = nullptr;
};

// Room for a call (P6), taken before its first lock; what is not kept goes back at the end.
class Reservation {
 public:
  explicit Reservation(MemFs::Impl& impl) : impl_(impl) {}
  ~Reservation() { give_back(need_); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  // May wait; at most once an object. Errors of Backend::reserve. Always ok without a backend.
  Status take(const Need& need) {
    SCALEFS_DCHECK(!epoch::in_guard());
    if (impl_.backend == nullptr) return {};
    SCALEFS_TRY_VOID(impl_.backend->reserve(need));
    need_ = need;
    return {};
  }
  // All of it was used: the record was appended, the pages are dirty.
  void keep() { keep(Need{need_.log_bytes, need_.blocks, need_.memory_bytes}); }
  // This much was used; the rest goes back at the end.
  void keep(const Need& used) {
    need_.log_bytes -= used.log_bytes;
    need_.blocks -= used.blocks;
    if (used.blocks != 0 && impl_.backend != nullptr)
      impl_.backend->pages_hold(static_cast<int64_t>(used.blocks));
    need_.memory_bytes -= used.memory_bytes;
  }

 private:
  void give_back(const Need& unused) {
    if (impl_.backend == nullptr) return;
    if (unused.log_bytes || unused.blocks || unused.memory_bytes || unused.tree_places)
      impl_.backend->unreserve(unused);
  }
  MemFs::Impl& impl_;
  Need need_;
};

// A slot of the log held; without a log nothing but stamps that ascend an object.
class LogSlot {
 public:
  explicit LogSlot(MemFs::Impl& impl) {
    if (impl.log != nullptr) slot_.emplace(*impl.log);
  }
  Stamp stamp(Stamp at_least) { return slot_ ? slot_->stamp(at_least) : at_least + 1; }
  void append(std::unique_ptr<OpRecord> record) {
    if (slot_) slot_->append(std::move(record));
  }

 private:
  std::optional<oplog::OpLog::Slot> slot_;
};

}  // namespace scalefs::memfs
