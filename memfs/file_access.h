// The calls on one file's data: what MemFs' methods do once they have found the object. The protocol
// stands in file_node.h. file_read.cc (read, misses in file_load.cc), file_write.cc (write, append),
// truncate.cc, allocate.cc, seek.cc, writeback.cc, evict.cc.
//
// The caller keeps the object in memory (a Pin) and holds no lock and no EpochGuard, except where said.
#pragma once

#include "memfs/file_node.h"
#include "memfs/impl.h"
#include "memfs/page_memory.h"

namespace scalefs::memfs {

inline constexpr uint64_t pages_of(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) >> kBlockShift;
}

// Room for a call on file data (P6). `blocks` are those that no page has taken yet, or that pages have given
// back; what is left at the end goes back to the backend, and so does the room for the record if none was
// appended. Memory is not given back: the cache is counted as it is.
class Room {
 public:
  explicit Room(MemFs::Impl& impl) : backend_(impl.backend) {}
  ~Room() {
    if (backend_ == nullptr) return;
    if (blocks != 0 || record_.log_bytes != 0 || record_.metadata_ops != 0) {
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
    blocks = need.blocks;
    record_.log_bytes = need.log_bytes;
    record_.metadata_ops = need.metadata_ops;
    return {};
  }
  void appended() { record_ = Need{}; }

  uint64_t blocks = 0;

 private:
  Backend* const backend_;
  Need record_;
};

// What find_absent() found, and when.
struct AbsentPages {
  struct Run {
    uint64_t from, to;
    bool unwritten;
  };
  struct Count {
    uint64_t mapped = 0;     // unwritten ones included
    uint64_t unwritten = 0;
  };
  std::vector<Run> runs;  // ascending
  Stamp durable = 0;
};

inline constexpr uint64_t kEndPage = UINT64_MAX;

class FileAccess {
 public:
  FileAccess(MemFs::Impl& impl, Mnode& mnode)
      : impl_(impl), mnode_(mnode), node_(*mnode.file), backed_(impl.backend != nullptr) {}

  Result<size_t> read(uint64_t offset, Bytes to);
  Result<size_t> write(uint64_t offset, ConstBytes from);
  Result<uint64_t> append(ConstBytes from);
  Status truncate(uint64_t size, int64_t now_ns);
  void drop_all();

 private:
  enum class Put : uint8_t { done, unknown, unloaded, outside, no_room };

  // --- file_read.cc
  struct PageCopy {
    enum class Kind : uint8_t { bytes, zeros, end, miss } kind;
    size_t count;  // bytes and zeros: fewer than asked for only at the file's end
  };
  PageCopy copy_page(uint64_t offset, size_t count, std::byte* to);
  bool copy_slot(PageSlot& slot, uint64_t offset, size_t count, std::byte* to, PageCopy* result);
  void note_inside(PageSlot& slot, uint64_t page);

  // --- file_load.cc
  // Makes known what the page's slot stands for. EIO, EUCLEAN.
  Status load_slot(uint64_t page);
  // The same when no backend needs to be asked; the caller holds the mutex and the slot's lock. False when one
  // must be.
  bool resolve(PageSlot& slot, uint64_t page) REQUIRES(node_.mutex_, slot.lock);
  void set_zero(PageSlot& slot, MapKind map) REQUIRES(slot.lock);
  // What a Put other than done asks for; ENOSPC for no_room.
  Status load(Put why, uint64_t page);
  void mark_holes(uint64_t from, uint64_t to) REQUIRES(node_.mutex_);
  // Brings the page's bytes into memory, and those of up to `ahead` pages behind it. Nothing to do
  // when it has none (absent pages are made known, holes stay).
  Status load_page(uint64_t page, uint64_t ahead);
  // Which pages of [from, to) that have no slot are mapped in the checkpoint; no lock held.
  Result<AbsentPages> find_absent(uint64_t from, uint64_t to);
  bool still_good(const AbsentPages& absent) REQUIRES(node_.mutex_);
  AbsentPages::Count count_absent(const AbsentPages& absent, uint64_t from, uint64_t to)
      REQUIRES(node_.mutex_);

  // --- file_write.cc
  // Writes `count` bytes at `offset`, inside one page, from the same place of `bytes`; may take the page.
  // `below`: answers outside when the size is below it; 0: the caller holds the mutex.
  Put put(uint64_t offset, size_t count, PagePtr& bytes, uint64_t below, Room& room);
  Put put_slot(Leaf& leaf, PageSlot& slot, uint64_t offset, size_t count, PagePtr& bytes,
               bool whole, Room& room) REQUIRES(slot.lock);
  Result<size_t> write_chunk(uint64_t offset, ConstBytes from, Room& room);
  Result<size_t> write_inside(uint64_t offset, ConstBytes from, Room& room);
  Result<size_t> write_extending(uint64_t offset, ConstBytes from, Room& room);
  Put extend_locked(uint64_t offset, size_t count, PagePtr* pages, Room& room, size_t* done,
                    uint64_t* missing) REQUIRES(node_.mutex_);
  // The page in which the file ends, before the size grows beyond it: its bytes behind the end must be zero
  // on disk too, so it becomes dirty. Put::unloaded and unknown: load *missing first.
  Put settle_last_page(Room& room, uint64_t* missing) REQUIRES(node_.mutex_);
  // False when there is no block for the page.
  bool take_block(PageSlot& slot, Room& room) REQUIRES(slot.lock) {
    if (!backed_ || slot.reserved) return true;
    if (room.blocks == 0) return false;
    --room.blocks;
    return slot.reserved = true;
  }
  // Everything a changed page entails; was_mapped: as before the change.
  void changed(Leaf& leaf, PageSlot& slot, bool was_mapped) REQUIRES(slot.lock);
  void note_write();
  Result<size_t> write_step(uint64_t offset, ConstBytes from, Room& room);
  Put known_locked(uint64_t offset, size_t count, uint64_t* missing) REQUIRES(node_.mutex_);
  void list() {
    if (!backed_) return;
    impl_.data->dirty.add(mnode_.dirty_link, mnode_);
    impl_.data->cached.add(node_.cached_link_, mnode_);
  }
  // Lists the file at the end of a change, also when it ends early.
  struct Listing {
    explicit Listing(FileAccess& access) : file(access) {}
    ~Listing() { file.list(); }
    FileAccess& file;
  };

  // --- truncate.cc
  // Pages [from, to) lose their bytes and their mapping; samples of them become stale. Frees leaves.
  void drop_pages(uint64_t from, uint64_t to, Room& room) REQUIRES(node_.mutex_);
  std::byte* drop_slot(PageSlot& slot, Room& room) REQUIRES(node_.mutex_, slot.lock);
  void free_leaf(Leaf& leaf) REQUIRES(node_.mutex_);
  // zero_part(offset, ...) can be called for the page of `offset`, if it is cut there.
  Put part_ready(uint64_t offset, uint64_t* missing) REQUIRES(node_.mutex_);
  // Zeroes [from, to) of one page where it has bytes.
  void zero_part(uint64_t from, uint64_t to, Room& room) REQUIRES(node_.mutex_);
  void clear_inside(uint64_t page) REQUIRES(node_.mutex_);
  Put resize_ready(uint64_t size, Room& room, uint64_t* missing) REQUIRES(node_.mutex_);
  void resize(uint64_t size, const AbsentPages& absent, Room& room,
              std::unique_ptr<OpRecord> record, int64_t now_ns) REQUIRES(node_.mutex_);
  void set_size(uint64_t size) REQUIRES(node_.mutex_) {
    node_.size_.store(size, release);  // pairs with size()
  }

  // --- writeback.cc
  // What a record may say of the size, when the file has `size` bytes.
  uint64_t covered_size(uint64_t size) REQUIRES(node_.mutex_);

  // Stamps, publishes, appends. now_ns: mtime and ctime become that at least; 0: they stay.
  template <class Publish>
  Stamp log(std::unique_ptr<OpRecord> record, Room& room, int64_t now_ns, Publish publish)
      REQUIRES(node_.mutex_) {
    LogSlot slot(impl_);
    const Stamp stamp = slot.stamp(std::max(node_.last_stamp_, mnode_.stamp.load(acquire)));
    node_.last_stamp_ = stamp;
    publish();
    if (now_ns != 0)
      impl_.deltas.add(mnode_, MetaDelta{.mtime_ns = now_ns, .ctime_ns = now_ns, .stamp = stamp});
    if (record != nullptr) {
      const MetaSums sums = impl_.deltas.read(mnode_);
      record->mtime_ns = sums.mtime_ns;
      record->ctime_ns = sums.ctime_ns;
      slot.append(std::move(record));
      room.appended();
    }
    return stamp;
  }

  MemFs::Impl& impl_;
  Mnode& mnode_;
  FileNode& node_;
  const bool backed_;
};

}  // namespace scalefs::memfs
