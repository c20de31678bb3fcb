// The calls on one file's data: what MemFs' methods do once they have found the object. The protocol
// stands in file_node.h. file_read.cc (read, misses in file_load.cc), file_write.cc (write, append),
// truncate.cc, allocate.cc, seek.cc, writeback.cc, evict.cc.
//
// The caller keeps the object in memory (a Pin) and holds no lock and no EpochGuard, except where said.
#pragma once

#include <algorithm>
#include <functional>
#include <new>
#include <optional>
#include <span>

#include "memfs/file_node.h"
#include "memfs/impl.h"
#include "memfs/page_memory.h"
#include "memfs/range_hold.h"

namespace scalefs::memfs {

inline constexpr uint64_t pages_of(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) >> kBlockShift;
}

#ifdef SCALEFS_SCHEDULE
// The test of the tests: a sample is copied before the page's dirty mark is cleared.
extern bool writeback_canary;
#endif

// Room for a call on file data (P6). `blocks` are those that no page has taken yet, or that pages have given
// back; what is left at the end goes back to the backend, and so does the room for the record if none was
// appended. Memory is not given back: the cache is counted as it is.
class Room {
 public:
  explicit Room(MemFs::Impl& impl) : backend_(impl.backend) {}
  ~Room() {
    if (backend_ == nullptr) return;
    if (blocks != reserved_)
      backend_->pages_hold(static_cast<int64_t>(reserved_) - static_cast<int64_t>(blocks));
    if (blocks != 0 || record_.log_bytes != 0 || record_.tree_places != 0) {
      record_.blocks = blocks;
      backend_->unreserve(record_);
    }
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // May wait; the caller holds nothing. At most once. Always ok without a backend.
  Status take(const Need& need) {
    SCALEFS_DCHECK(!epoch::in_guard());
    if (backend_ == nullptr) return {};
    SCALEFS_TRY_VOID(backend_->reserve(need));
    blocks = reserved_ = need.blocks;
    record_.log_bytes = need.log_bytes;
    record_.tree_places = need.tree_places;
    return {};
  }
  // Takes over what the caller of a step function has reserved: blocks that pages hold, and room for a
  // record. The places stay the caller's.
  void adopt(const Need& need) {
    blocks = need.blocks;
    record_.log_bytes = need.log_bytes;
  }
  // A record was appended that cost so much.
  void appended(uint64_t log_bytes) {
    record_.log_bytes -= std::min(record_.log_bytes, log_bytes);
  }

  uint64_t blocks = 0;

 private:
  Backend* const backend_;
  uint64_t reserved_ = 0;  // by take()
  Need record_;
};

// What find_absent() found, and when.
struct AbsentPages {
  struct Run {
    uint64_t from, to;
    bool unwritten;
  };
  struct Count {
    uint64_t mapped = 0;    // unwritten ones included
    uint64_t reserved = 0;  // those for which a block is reserved
  };
  std::vector<Run> runs;  // ascending
  Stamp durable = 0;
  void add(uint64_t page, bool unwritten);
};

inline constexpr uint64_t kEndPage = UINT64_MAX;
inline constexpr uint64_t kFilePagesMax = kFileBytesMax >> kBlockShift;

// A part of a call that is made of several: where it is not the first one, the call is short as if by another error.
template <class Part>
auto or_no_memory(const Part& part) -> decltype(part()) {
  try {
    return part();
  } catch (const std::bad_alloc&) {
    return Errno(ENOMEM);
  }
}

class FileAccess {
 public:
  FileAccess(MemFs::Impl& impl, Mnode& mnode)
      : impl_(impl), mnode_(mnode), node_(*mnode.file), backed_(impl.backend != nullptr) {}

  Result<size_t> read(uint64_t offset, Bytes to, Buffer buffer);
  // MemFs::read inside one page of a file that is in memory, which needs no pin. None: nothing was done, the longer way.
  static std::optional<size_t> read_in_page(MemFs::Impl& impl, MnodeNo file, uint64_t offset, Bytes to, Atime atime,
                                            Buffer buffer);
  Result<size_t> write(uint64_t offset, ConstBytes from, WriteTimes times, Buffer buffer);
  Result<uint64_t> append(ConstBytes from);
  Status truncate(uint64_t size, int64_t now_ns);
  Status allocate(AllocateMode mode, uint64_t offset, uint64_t length);
  Result<uint64_t> seek(uint64_t offset, SeekMode mode);
  void drop_all();

  // The step functions of MemFs (P2).
  std::vector<SampledPage> begin_writeback(uint64_t from_page, size_t count, bool* busy);
  std::vector<BlockNo> finish_writeback(std::span<const SampledPage> pages, const ExtentsOp& all);
  void finish_inline(std::span<const SampledPage> pages);
  void abort_writeback(std::span<const SampledPage> pages);
  void wait_writeback();
  // Something that no record carries, or pages in writeback.
  bool has_unlogged();
  // The log has the file's size and every page that was dirty at the call. Lock-free, and false where it would
  // take long to say.
  bool all_logged() const;
  // The object's change_lock is held. `times`: a SetAttrOp for the access time, `size`: an ExtentsOp
  // without runs. Throws std::bad_alloc before it has done anything.
  void log_open_attributes(std::unique_ptr<OpRecord> times, std::unique_ptr<OpRecord> size, Room& room);
  // Gives up clean pages; answers whether the file has more. `force`: also recently used ones.
  bool evict(uint64_t target_bytes, bool force);
  bool has_pages();

 private:
  enum class Put : uint8_t { done, unknown, unloaded, outside, no_room, no_page };

  // --- file_read.cc
  struct PageCopy {
    enum class Kind : uint8_t { bytes, zeros, end, miss } kind;
    size_t count;  // bytes and zeros: fewer than asked for only at the file's end
    bool told = false;  // the page lies inside, by what pages behind it tell
  };
  PageCopy copy_page(uint64_t offset, size_t count, std::byte* to);
  bool copy_slot(PageSlot& slot, uint64_t offset, size_t count, std::byte* to, PageCopy* result);
  void note_inside(PageSlot& slot, uint64_t page);

  // --- file_load.cc
  // What a Put other than done asks for; ENOSPC for no_room. EIO, EUCLEAN.
  Status load(Put why, uint64_t page);
  // Makes known what the page's slot stands for.
  Status load_slot(uint64_t page);
  Status install_mapping(uint64_t first, const std::vector<LoadedPage>& pages)
      REQUIRES(node_.mutex_);
  // Brings the page's bytes into memory, and those of up to `ahead` pages behind it. Nothing to do
  // when it has none (absent pages are made known, holes stay).
  Status load_page(uint64_t page, uint64_t ahead);
  struct BlockRun {
    bool absent = false;  // the first page's slot is
    BlockNo first;
    std::vector<uint32_t> crcs;
  };
  BlockRun find_run(uint64_t page, uint64_t count);
  void install_run(uint64_t page, const BlockRun& run, ConstBytes bytes);
  void install_bytes(PageSlot& slot, uint64_t page, PagePtr bytes) REQUIRES(slot.lock);
  bool forget_mapping(uint64_t page, BlockNo block);
  // What the slot stands for when no backend needs to be asked; false when one must be.
  // Beyond the first pages the mutex is held.
  bool resolve(PageSlot& slot, uint64_t page) REQUIRES(slot.lock);
  void set_zero(PageSlot& slot, MapKind map, bool reserved) REQUIRES(slot.lock);
  void mark_holes(uint64_t from, uint64_t to) REQUIRES(node_.mutex_);  // beyond the first pages
  // The durable stamp, up to which the overlay has nothing any more.
  Stamp purge_overlay() REQUIRES(node_.mutex_);
  // A record has its stamp.
  void settle_overlay(const RangeHold& hold, Stamp stamp) {
    if (!hold.rest()) return;
    node_.mutex_.assert_held();
    node_.overlay_.settle(stamp);
  }

  // --- file_ranges.cc
  // Which pages of [from, to) that have no slot are mapped in the checkpoint; no lock held.
  Result<AbsentPages> find_absent(uint64_t from, uint64_t to);
  bool still_good(const AbsentPages& absent) REQUIRES(node_.mutex_);
  bool still_good_held(const AbsentPages& absent) {
    node_.mutex_.assert_held();
    return still_good(absent);
  }
  // Asks for those of the first pages in [from, to) that are not known.
  Status know_head(uint64_t from, uint64_t to);
  bool head_known(uint64_t from, uint64_t to);
  struct Piece {
    uint64_t from, to;
    bool known;  // has a slot
    MapKind kind = MapKind::hole;
    bool reserved = false;  // one without a slot: a block is reserved for each page
  };
  // Answers whether to go on.
  using PieceVisitor = std::function<bool(const Piece&)>;
  // Pieces of [from, to), in order. The pages are held, and known where they are first ones (also below).
  void walk(const AbsentPages& absent, uint64_t from, uint64_t to, const PieceVisitor& visit);
  bool walk_bare(const AbsentPages& absent, uint64_t from, uint64_t to, const PieceVisitor& visit)
      REQUIRES(node_.mutex_);
  AbsentPages::Count count_absent(const AbsentPages& absent, uint64_t from, uint64_t to);

  // --- file_write.cc
  // Writes `count` bytes at `offset`, inside one page, from `own`, or where that is null from the same place of `bytes`; may take
  // the page. Answers outside when the file does not reach that far, no_page when it wants one in `bytes`. `goes_on`: the page
  // behind is written next.
  Put put(uint64_t offset, size_t count, const std::byte* own, bool goes_on, PagePtr& bytes, Room& room);
  // `may_end`: the caller may be about to extend the file.
  Put put_slot(Leaf& leaf, PageSlot& slot, uint64_t offset, size_t count, const std::byte* own, PagePtr& bytes,
               bool may_end, Room& room) REQUIRES(slot.lock);
  bool slot_covers(const PageSlot& slot, uint64_t page, uint64_t bytes) const;
  bool surely_inside(uint64_t bytes);
  Result<size_t> write_chunk(uint64_t offset, ConstBytes from, Buffer buffer, Room& room);
  Result<size_t> write_inside(uint64_t offset, ConstBytes from, Buffer buffer, Room& room);
  Result<size_t> write_extending(uint64_t offset, ConstBytes from, Room& room);
  // The pages are held.
  Put extend_held(uint64_t offset, size_t count, PagePtr* pages, Room& room, size_t* done,
                  uint64_t* missing);
  Leaf& leaf_at(uint64_t page) {
    if (page >= PageTree::kHeadPages) node_.note_rest();
    return node_.tree_.leaf_of(page);
  }
  // False when there is no block for the page.
  bool take_block(PageSlot& slot, Room& room) REQUIRES(slot.lock) {
    if (!backed_ || slot.reserved) return true;
    if (room.blocks == 0) return false;
    --room.blocks;
    return slot.reserved = true;
  }
  // Everything a changed page entails; was_mapped: as before the change.
  void changed(Leaf& leaf, uint64_t page, PageSlot& slot, bool was_mapped) REQUIRES(slot.lock);
  // A first page has become dirty or clean, or its writeback has begun or ended.
  void note_open(uint64_t page, PageSlot& slot) REQUIRES(slot.lock);
  // What the page stands for has changed: its mark, or the count.
  void count_mapped(bool head, uint64_t page, PageSlot& slot, bool was_mapped)
      REQUIRES(slot.lock);
  void note_write(int64_t now_ns);
  Result<size_t> write_step(uint64_t offset, ConstBytes from, WriteTimes times, Buffer buffer, Room& room);
  Put known_held(uint64_t offset, size_t count, uint64_t* missing);
  void list() {
    if (!backed_) return;
    impl_.deltas.note(mnode_, DeltaCache::kDirty | DeltaCache::kCached);
  }
  // Lists the file at the end of a change, also when it ends early, if it left something that no record has.
  struct Listing {
    explicit Listing(FileAccess& access) : file(access) {}
    ~Listing() {
      if (file.unlogged_) file.list();
      if (file.lost_times_) file.impl_.mark_times_dirty(file.mnode_);
    }
    FileAccess& file;
  };

  // --- truncate.cc
  // Pages [from, to) lose their bytes and their mapping; samples of them become stale. Frees leaves.
  // The pages are held.
  void drop_pages(uint64_t from, uint64_t to, Room& room);
  std::byte* drop_slot(uint64_t page, PageSlot& slot, Room& room) REQUIRES(slot.lock);
  void free_leaf(Leaf& leaf) REQUIRES(node_.mutex_);
  // zero_part(offset, ...) can be called for the page of `offset`, if it is cut there.
  Put part_ready(uint64_t offset, uint64_t* missing);
  // Zeroes [from, to) of one page where it has bytes.
  void zero_part(uint64_t from, uint64_t to, Room& room);
  void clear_inside(uint64_t page) REQUIRES(node_.mutex_);
  Put resize_ready(uint64_t size, uint64_t* missing) REQUIRES(node_.mutex_);
  void resize(uint64_t size, const AbsentPages& absent, RangeHold& hold, Room& room,
              std::unique_ptr<OpRecord> record, int64_t now_ns) REQUIRES(node_.mutex_);
  // The file has that size, and nothing stands behind it: a truncation to it changes nothing but times.
  bool ends_at(uint64_t size);
  uint64_t last_used();
  // The last page of the file's first `size` bytes is a part, and may have bytes that no record has.
  bool is_tail_open(uint64_t size) const;
  // A record of that the call was here, where it changes nothing else.
  Status log_times(int64_t now_ns);

  // Before the file grows; the caller holds nothing.
  Status settle_tail();
  // The page in which a loaded file ends: a crash may have left bytes behind the end on disk, which become zero,
  // so it becomes dirty. Put::unloaded and unknown: load *missing first.
  Put settle_last_page(Room& room, uint64_t* missing) REQUIRES(node_.mutex_);

  // --- allocate.cc
  struct ByteRange;
  Status fill(const ByteRange& range, bool may_grow);
  // The pages are held, from here on.
  void fill_held(const ByteRange& range, bool may_grow, const AbsentPages& absent, RangeHold& hold,
                 Room& room, std::unique_ptr<OpRecord> record);
  void mark_unwritten(const AbsentPages& absent, uint64_t from, uint64_t to);
  uint64_t fill_slots(uint64_t from, uint64_t to);
  void fill_pages(uint64_t from, uint64_t to, uint64_t bare, Room& room);
  // Holes in [from, to); bare: only those without a slot.
  uint64_t count_holes(const AbsentPages& absent, uint64_t from, uint64_t to, bool bare);
  bool is_filled(const ByteRange& range, bool may_grow);
  Status clear(const ByteRange& range, bool unwritten, bool may_grow);
  bool is_clear(const ByteRange& range);
  std::vector<std::unique_ptr<OpRecord>> clear_records(const ByteRange& range, bool unwritten);
  void clear_held(const ByteRange& range, bool unwritten, bool may_grow, const AbsentPages& absent,
                  RangeHold& hold, Room& room, std::vector<std::unique_ptr<OpRecord>> records);
  void grow_to(uint64_t size);

  // --- seek.cc
  // In the first pages, without a lock. Null: from *page on they tell nothing.
  std::optional<Result<uint64_t>> seek_head(uint64_t offset, SeekMode mode, uint64_t* page);
  Status skip_hole(uint64_t* page, uint64_t end);

  // --- writeback.cc
  uint64_t covered_size(uint64_t size, std::span<const SampledPage> carried = {}, bool look = true)
      REQUIRES(node_.mutex_);
  bool sample_leaf(Leaf& leaf, uint64_t from_page, size_t count,
                   std::vector<SampledPage>* samples, bool* busy) REQUIRES(node_.mutex_);
  SampledPage take_sample(PageSlot& slot, uint64_t page, std::unique_ptr<std::byte[]> copy)
      REQUIRES(node_.mutex_, slot.lock);
  bool is_current(const SampledPage& sample) REQUIRES(node_.mutex_);
  bool end_writeback(PageSlot& slot, const SampledPage& sample)
      REQUIRES(node_.mutex_, slot.lock);
  void settle(Stamp stamp, std::span<const SampledPage> pages) REQUIRES(node_.mutex_);

  // --- evict.cc
  bool evict_slot(PageSlot& slot, uint64_t page, Stamp durable, bool force)
      REQUIRES(node_.mutex_, slot.lock);
  bool can_forget(PageSlot& slot, uint64_t page, Stamp durable)
      REQUIRES(node_.mutex_, slot.lock);
  void forget_slot(PageSlot& slot) REQUIRES(node_.mutex_, slot.lock);
  void uncover_leaf(Leaf& leaf, Stamp durable) REQUIRES(node_.mutex_);
  bool evict_leaf(Leaf& leaf, Stamp durable, bool force) REQUIRES(node_.mutex_);
  bool evict_head(Stamp durable, bool force) REQUIRES(node_.mutex_);

  // Stamps, publishes, appends; all records get the same stamp. now_ns: mtime and ctime become that at least, and the
  // records say so; 0: they stay, and the records say what data has brought. The object's change_lock is held, so that the
  // times in the records stand in the right order to explicit ones.
  template <class Publish>
  Stamp log_all(std::span<std::unique_ptr<OpRecord>> records, RangeHold& hold, Room& room,
                int64_t now_ns, Publish publish) REQUIRES(node_.mutex_) {
    const Stamp newest = hold.newest();
    LogSlot slot(impl_);
    const Stamp stamp =
        slot.stamp(std::max({newest, mnode_.stamp.load(acquire), mnode_.change_stamp}));
    mnode_.change_stamp = stamp;
    hold.set_newest(stamp);
    publish();
    if (now_ns != 0)
      impl_.deltas.add(mnode_, MetaDelta{.mtime_ns = now_ns, .ctime_ns = now_ns, .stamp = stamp});
    if (records.empty()) return stamp;
    MetaSums sums;
    sums.mtime_ns = sums.ctime_ns = now_ns;
    // Without what explicit changes and names gave: those have records of their own.
    if (now_ns == 0) sums = impl_.deltas.read_data(mnode_);
    for (auto& record : records) {
      if (!std::holds_alternative<SetAttrOp>(record->op)) {
        record->mtime_ns = sums.mtime_ns;
        record->ctime_ns = sums.ctime_ns;
      }
      room.appended(record->cost_bytes);
      slot.append(std::move(record));
    }
    return stamp;
  }
  template <class Publish>
  Stamp log(std::unique_ptr<OpRecord> record, RangeHold& hold, Room& room, int64_t now_ns,
            Publish publish) REQUIRES(node_.mutex_) {
    return log_all({&record, record != nullptr ? size_t{1} : size_t{0}}, hold, room, now_ns,
                   publish);
  }
  // The same for records that leave the size and carry the call's own times (kSizeUnchanged): what other calls
  // did is for their records to say, so neither their times nor change_lock are needed.
  template <class Publish>
  Stamp log_own(std::span<std::unique_ptr<OpRecord>> records, RangeHold* hold, Room& room,
                int64_t now_ns, Publish publish) {
    // A record that is stamped later and says what the object shows shall know it.
    if (backed_) note_write(now_ns);
    // Whatever was set explicitly before comes before.
    const Stamp newest = std::max({hold != nullptr ? hold->newest() : Stamp{0},
                                   mnode_.stamp.load(acquire),
                                   mnode_.mtime_set_stamp.load(acquire)});
    LogSlot slot(impl_);
    const Stamp stamp = slot.stamp(newest);
    if (hold != nullptr) hold->set_newest(stamp);
    publish();
    impl_.deltas.add(mnode_, MetaDelta{.mtime_ns = now_ns, .ctime_ns = now_ns, .stamp = stamp});
    for (auto& record : records) {
      record->mtime_ns = record->ctime_ns = now_ns;
      room.appended(record->cost_bytes);
      slot.append(std::move(record));
    }
    return stamp;
  }

  MemFs::Impl& impl_;
  Mnode& mnode_;
  FileNode& node_;
  const bool backed_;
  bool unlogged_ = false;    // the call left something that no record has
  bool lost_times_ = false;  // it dropped a page whose record would have told when it was written
};

}  // namespace scalefs::memfs
