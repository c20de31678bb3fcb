// The names of one directory: a resizable chained hash over SipHash of the name. A bucket stands for
// a range of the hash (its index is the hash's top bits), so walking the buckets, each one's names sorted,
// gives all names in plain order of the hash, and a resize only splits buckets. A bucket's first names stand in slots, each with
// some bits of its hash beside its address, the others in a chain: who looks for a name hardly ever follows an address to
// another, and a miss follows none.
//
// Readers (find, collect) take no lock and write nothing; they hold an EpochGuard. Writers lock the buckets
// of the names that they change (NameLocks, in one order for all); a resize and the end of a directory lock all of
// them. A resize links the names over the other one of two next pointers, so that readers of the old
// array walk on undisturbed; the next resize waits until none can be left (as in mnode_table.h). A miss
// counts only when the array is still the current one. A name that is removed gets value 0 before it leaves its chain,
// so that whoever still walks over it sees it gone; a name that is replaced changes value in place.
//
// Partly loaded directories (P4). What a load brings never overwrites what is here: a live name, or a tombstone,
// which stands for a name removed since the last durable checkpoint. A tombstone goes when its
// removal is covered by the durable stamp and no load that may have begun before is running (`loads`).
// `complete`: every name that the checkpoint has is here (or was removed); set once, for ever.
//
// Counting: entries are counted by the delta cache, not here (Mnode::base_entries).
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "memfs/mnode.h"
#include "memfs/tree_move.h"

namespace scalefs::memfs {

// What a name means: number and DT_* in one word; 0 is nothing.
class NameValue {
 public:
  constexpr NameValue() = default;
  constexpr NameValue(MnodeNo number, uint8_t type) : word_(number.v << 4 | (type & 15)) {}
  static constexpr NameValue from_word(uint64_t word) {
    NameValue value;
    value.word_ = word;
    return value;
  }
  constexpr MnodeNo number() const { return MnodeNo(word_ >> 4); }
  constexpr uint8_t type() const { return word_ & 15; }
  constexpr uint64_t word() const { return word_; }
  constexpr explicit operator bool() const { return word_ != 0; }
  friend constexpr bool operator==(NameValue, NameValue) = default;

 private:
  uint64_t word_ = 0;
};

// What can be told of a name without its value.
enum class NameKind : uint8_t { absent, directory, other };
constexpr NameKind kind_of(NameValue value) {
  if (!value) return NameKind::absent;
  return value.type() == Mnode::kTypeDirectory ? NameKind::directory : NameKind::other;
}
#ifdef SCALEFS_SCHEDULE
// The test of the tests: a kind stays as it was until the value has changed.
extern bool name_kind_canary;
#endif

// The meaning of a name that has changed in place (rename over it, exchange), on lines of its own (I1): who asks whether a
// name is there reads neither; who asks whether it is a directory's reads the second, which only what changes that writes.
//
// Where both change, the kind is taken away, then the value stored, then the new kind: one who finds a kind finds that of the
// value that stands there, and one who finds none asks the value. So all see the change when the value is stored.
struct alignas(64) NameCell {
  NameCell();
  ~NameCell();
  NameCell(const NameCell&) = delete;
  NameCell& operator=(const NameCell&) = delete;

  // Both: release under the bucket's lock, acquire by readers.
  Atomic<uint64_t> word{0};  // NameValue
  alignas(64) Atomic<NameKind> kind{NameKind::absent};  // absent: ask the value
};
using NameCellPtr = std::unique_ptr<NameCell>;

// A name in a chain. Allocated before any lock; freed by epoch once it has left its chain.
class NameItem {
 public:
  static NameItem* make(uint64_t hash, std::string_view name, NameValue value);
  static void free(NameItem* item);
  // Once it has left its chain; null is nothing. Holding no lock.
  static void retire(NameItem* item);
  std::string_view name() const { return {text, length}; }

  // --- readers, under an EpochGuard or the bucket's lock
  bool live() const { return word_.load(acquire) != 0; }  // pairs with set() and clear()
  NameKind kind() const {
    // Acquire, all: as in value().
    const uint64_t word = word_.load(acquire);
    if ((word & kInCell) == 0) return kind_of(NameValue::from_word(word));
    const NameKind kind = cell_of(word)->kind.load(acquire);
    if (kind != NameKind::absent) return kind;
    return kind_of(NameValue::from_word(cell_of(word)->word.load(acquire)));
  }
  // None: removed.
  NameValue value() const {
    // Acquire, both: whoever sees a number also sees its object in the mnode table.
    const uint64_t word = word_.load(acquire);
    if ((word & kInCell) == 0) return NameValue::from_word(word);
    // The cell that this word names, so that what is read was the value at some time since.
    return NameValue::from_word(cell_of(word)->word.load(acquire));
  }

  // --- under the bucket's lock
  // A live item changes in place; it may take `cell`. What must be retired once no lock is held, or null.
  [[nodiscard]] NameCell* set(NameValue value, NameCellPtr& cell);
  // Of an item that is not live.
  void revive(NameValue value) { word_.store(value.word(), release); }
  void clear() { word_.store(0, release); }

  Atomic<NameItem*> next[2];
  const uint64_t hash;
  Stamp removed_at = 0;  // of a tombstone; under the bucket's lock

 private:
  static constexpr uint64_t kInCell = uint64_t{1} << 63;  // the rest: a NameCell's address
  static_assert(kMnodeNoLimit << 4 <= kInCell);
  static NameCell* cell_of(uint64_t word) { return reinterpret_cast<NameCell*>(word & ~kInCell); }
  NameItem(uint64_t h, NameValue v, uint16_t n) : hash(h), word_(v.word()), length(n) {}

  Atomic<uint64_t> word_;      // NameValue, or where it stands; 0: removed
  NameCell* cell_ = nullptr;   // owned; under the bucket's lock. One that word_ does not name is no longer in use
  const uint16_t length;
  char text[];
};

struct NameItemFree {
  void operator()(NameItem* item) const { NameItem::free(item); }
};
using NameItemPtr = std::unique_ptr<NameItem, NameItemFree>;

// Two lines: what readers walk over, and what writers lock. A change in place leaves the first alone (I1). Aligned to
// both, for processors that fetch lines in pairs.
struct alignas(128) NameBucket {
  static constexpr size_t kSlots = 7;
  // Release under the lock, acquire by readers: an item's address and its tag, or 0.
  Atomic<uint64_t> slots[kSlots]{};
  Atomic<NameItem*> chain{nullptr};  // those that found no slot

  alignas(64) SpinBit lock;
  Atomic<uint32_t> count{0};        // items, tombstones too; written under the lock, sampled by grow()
  Atomic<uint32_t> contended{0};    // times that a writer found the lock taken; as `count`
  Stamp stamp = 0;  // last stamp given under this lock (P1)

  // The low bits of the hash, for the high ones choose the bucket, above an address of 48 bits.
  static constexpr unsigned kAddressBits = 48;
  static uint64_t slot_of(const NameItem* item) {
    return reinterpret_cast<uintptr_t>(item) | item->hash << kAddressBits;
  }
  static NameItem* item_in(uint64_t slot) {
    return reinterpret_cast<NameItem*>(slot & ((uint64_t{1} << kAddressBits) - 1));
  }
  static bool may_be(uint64_t slot, uint64_t hash) { return (slot ^ hash << kAddressBits) >> kAddressBits == 0; }

  // Under the lock, or before anybody sees the bucket. `which`: of an item's next pointers.
  void insert(NameItem* item, uint32_t which);
  void remove(NameItem* item, uint32_t which);
  // visit(item) of each, which may remove it; under the lock or an EpochGuard.
  template <class Visit>
  void for_each(uint32_t which, Visit visit) const {
    // Acquire, all: pairs with the releases in insert() and remove().
    for (const Atomic<uint64_t>& slot : slots)
      if (NameItem* item = item_in(slot.load(acquire))) visit(item);
    for (NameItem* item = chain.load(acquire); item != nullptr;) {
      NameItem* const next = item->next[which].load(acquire);
      visit(item);
      item = next;
    }
  }
};
#ifdef SCALEFS_SCHEDULE
// The test of the tests: buckets forget the stamps that were given under their locks.
extern bool bucket_stamp_canary;
#endif
class DirectoryNode {
 public:
  // `number` is the object's. `complete`: a new directory; else nothing is loaded yet.
  DirectoryNode(MnodeNo number, MnodeNo parent, bool complete);
  ~DirectoryNode();
  DirectoryNode(const DirectoryNode&) = delete;
  DirectoryNode& operator=(const DirectoryNode&) = delete;

  // ".."
  MnodeNo parent() const { return MnodeNo(place.parent.load(acquire)); }  // pairs with TreeMove

  // --- readers, under an EpochGuard
  struct Found {
    NameValue value;     // none: not there
    bool known = false;  // the answer is final: the name is here, or is known to be nowhere
  };
  Found find(uint64_t hash, std::string_view name) const;
  // The name's item, live or not, or null. `*known`: the answer is final, as in Found.
  const NameItem* locate(uint64_t hash, std::string_view name, bool* known) const;
  // The name is about to be made or removed: fetches what that writes, while the caller does other things.
  void prefetch(uint64_t hash) const;
  struct Listed {
    uint64_t hash = 0;
    std::string name;
    NameValue value;
    const NameItem* item = nullptr;  // in the guard of the call
  };
  // Appends names with from <= hash < to (`to` none: to the end) in order of hash. Stops after `count` or more,
  // never between two names of one cookie position. The hash to go on from, none at the end of the range.
  std::optional<uint64_t> collect(uint64_t from, std::optional<uint64_t> to, size_t count,
                                  std::vector<Listed>* names) const;

  // --- writers, with the name's bucket locked by NameLocks
  NameItem* item(uint64_t hash, std::string_view name);
  // The name is not there. Takes ownership; `item` has its value, or gets it before the lock is released.
  void insert(NameItem* item);
  // Removes a live name, leaving a tombstone where one is needed. What must be retired once no lock is
  // held, or null.
  NameItem* remove(NameItem* item, Stamp stamp);
  // With all buckets locked: no name can be made any more.
  void kill() { dead_.store(true, release); }  // pairs with dead()
  // Exact with any bucket locked.
  bool dead() const { return dead_.load(acquire); }

  // With the name's bucket locked: chains or waiting times are long, the caller grow()s after the locks.
  bool wants_growth(uint64_t hash) const;
  // Holding nothing.
  void grow();  // or not, where there is no memory

  // --- loading (P4)
  bool complete() const { return complete_.load(acquire); }  // pairs with add_loaded
  bool is_loaded(uint64_t hash) const;
  // The end of the loaded range that `hash` is in: none when it is not loaded; UINT64_MAX: all that follows.
  std::optional<uint64_t> loaded_until(uint64_t hash) const;
  // A load that reads a checkpoint is running; every name that it brings is merged before it ends.
  class Load {
   public:
    explicit Load(DirectoryNode& d) : d_(d) { d_.loads_.fetch_add(1, seq_cst); }
    ~Load() { d_.loads_.fetch_sub(1, seq_cst); }  // pairs with purge_tombstones
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

   private:
    DirectoryNode& d_;
  };
  // The checkpoint's names from `from` up to `to` (none: the end) have been merged.
  void add_loaded(uint64_t from, std::optional<uint64_t> to);
  // Frees tombstones that are covered. True when some are left.
  bool purge_tombstones(Stamp durable);
  // The first tombstone since the last purge that found none left: the caller lists the directory.
  bool take_tombstone_note() { return !tombstones_noted_.exchange(true, acq_rel); }
  void drop_tombstone_note() { tombstones_noted_.store(false, release); }

  // On a line of its own, for calls on names do not ask for it (I1).
  alignas(64) TreePlace place;

 private:
  friend class NameLocks;
  struct Table;
  struct Range {
    uint64_t from;
    uint64_t last;  // inclusive
  };
  void grow_now();

  bool old_is_gone() const { return old_gone_->load(acquire); }  // pairs with ~Table
  static NameItem* find_in(const Table& table, uint64_t hash, std::string_view name);

  // The array before the present one is out of all readers' sight: written false under all bucket locks, true
  // by the end of that array, which can come after that of this object.
  const std::shared_ptr<Atomic<bool>> old_gone_;
  alignas(64) const MnodeNo number_;
  Atomic<Table*> table_;  // release under all bucket locks, acquire by readers
  Atomic<bool> complete_;
  Atomic<bool> dead_{false};
  Atomic<uint32_t> loads_{0};
  Atomic<bool> tombstones_noted_{false};
  mutable SpinBit ranges_lock_;
  std::vector<Range> ranges_ GUARDED_BY(ranges_lock_);  // ascending, apart from each other
};

// Locks the buckets of some names, of one directory or several, or all buckets of a directory, in order of the
// directories' numbers, of the sizes of their arrays (an old one comes before the one that replaced it), and of the buckets.
// Not of addresses across arrays, which would make a seeded schedule depend on the heap. The buckets are those of the
// current arrays while the locks are held.
class NameLocks {
 public:
  NameLocks() = default;
  ~NameLocks() { unlock(); }
  NameLocks(const NameLocks&) = delete;
  NameLocks& operator=(const NameLocks&) = delete;

  NameLocks& add(DirectoryNode& directory, uint64_t hash);
  NameLocks& add_all(DirectoryNode& directory);
  void lock();
  void unlock();
  // Over the locked buckets.
  Stamp last_stamp() const;
  void set_stamp(Stamp stamp);

 private:
  friend class DirectoryNode;
  static constexpr size_t kMax = 4;
  struct Request {
    DirectoryNode* directory;
    uint64_t hash;
    bool all;
    DirectoryNode::Table* table;
    NameBucket* first;
    NameBucket* last;  // inclusive
  };
  void resolve(Request& request);
  bool all_current() const;
  void lock_buckets();
  void unlock_buckets();

  Request requests_[kMax];
  size_t count_ = 0;
  struct Span {
    const Request* of;
    NameBucket* first;
    NameBucket* last;
  };
  static bool before(const Span& a, const Span& b);
  Span spans_[kMax];  // in the order above, disjoint
  size_t span_count_ = 0;
  bool locked_ = false;
};

// Cookies of readdir. A position stands for all names with one hash but for the last bit; a cookie is the
// position to go on from, above the three reserved values.
inline constexpr uint64_t kCookieStart = 0;
inline constexpr uint64_t kCookieAfterDot = 1;
inline constexpr uint64_t kCookieFirstName = 2;
inline constexpr uint64_t kPositionMax = (uint64_t{1} << 63) - 4;
inline constexpr uint64_t position_of_hash(uint64_t hash) {
  return (hash >> 1) < kPositionMax ? hash >> 1 : kPositionMax;
}
inline constexpr uint64_t cookie_after(uint64_t position) { return position + 3; }
inline constexpr uint64_t hash_of_cookie(uint64_t cookie) { return (cookie - 2) << 1; }

}  // namespace scalefs::memfs
