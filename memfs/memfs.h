// MemFS: the in-memory file system that serves every call. Programs use it through volume::Volume.
//
// Thread safety: every call from any thread at any time. Which calls share no written cache line is
// invariant I1. Nothing here is durable on return; see volume/volume.h.
//
// Lifetime of an object (mnode): its lookup count plus its link count, never an open handle. Every
// call that returns an Entry adds one to the object's lookup count; forget() takes away. An object
// with neither lookups nor links is reclaimed by maintain(). Calls on a number that does not exist
// (any more) answer ESTALE.
//
// Names: ENAMETOOLONG over 255 bytes, EINVAL for an empty name, one with '/' or NUL, and for `.` and
// `..` where a name is created or removed.
#pragma once

#include <memory>
#include <span>

#include "base/hash.h"
#include "memfs/backend.h"
#include "memfs/record.h"
#include "memfs/types.h"

namespace scalefs::memfs {

struct Entry {
  Attr attr;
};

struct MemFsOptions {
  HashKey hash_key;           // of directory names; the volume's
  bool relatime = true;       // false: strictatime, unless noatime
  bool noatime = false;
  bool nodiratime = false;    // the same for directories alone
};

// A page sampled for writeback: a private copy and the generation it was taken at.
struct SampledPage {
  uint64_t page = 0;
  uint64_t generation = 0;
  std::unique_ptr<std::byte[]> copy;  // kBlockBytes, block-aligned by the caller's allocation
  uint32_t bytes = 0;                 // bytes inside the file; zeros follow
};

class MemFs {
 public:
  // `log` and `backend` are both null (memory only) or both given; they outlive the MemFs.
  MemFs(const MemFsOptions& options, oplog::OpLog* log, Backend* backend);
  ~MemFs();
  MemFs(const MemFs&) = delete;
  MemFs& operator=(const MemFs&) = delete;

  // The root directory: fresh (memory only), or as loaded.
  void install_root(const LoadedObject& root);
  // First mnode counter value that `core` may give out and the limit below which it may.
  void set_mnode_numbers(uint32_t core, uint64_t next, uint64_t limit);

  // --- names
  Result<Entry> lookup(MnodeNo dir, std::string_view name);  // also "." and ".."
  // Takes back `count` lookups, no more than Entries gave: the count keeps the object for calls under way too.
  void forget(MnodeNo mnode, uint64_t count);
  // The same for several, for less.
  void forget(std::span<const Lookups> several);
  // type and permission bits in `mode`; the umask or the default ACL is applied here. rdev for devices.
  Result<Entry> mknod(MnodeNo dir, std::string_view name, uint32_t mode, uint64_t rdev,
                      const Caller& caller);
  Result<Entry> mkdir(MnodeNo dir, std::string_view name, uint32_t mode, const Caller& caller);
  Result<Entry> symlink(MnodeNo dir, std::string_view name, std::string_view target,
                        const Caller& caller);
  // A regular file; with `exclusive` EEXIST when the name exists, else the existing object (EISDIR...).
  Result<Entry> create(MnodeNo dir, std::string_view name, uint32_t mode, bool exclusive,
                       const Caller& caller);
  // O_TMPFILE: an object without a name.
  Result<Entry> tmpfile(MnodeNo dir, uint32_t mode, const Caller& caller);
  Result<Entry> link(MnodeNo target, MnodeNo dir, std::string_view name);
  Status unlink(MnodeNo dir, std::string_view name);
  Status rmdir(MnodeNo dir, std::string_view name);
  Status rename(MnodeNo source_dir, std::string_view source_name, MnodeNo target_dir,
                std::string_view target_name, RenameMode mode, const Caller& caller);
  Result<std::string> readlink(MnodeNo link);

  // Entries in hash order from `cookie` on (0: from the start, `.` and `..` first; else a next_cookie
  // given before, also before a remount). The callback answers false when it has no room for the entry.
  // No lock and no epoch is held during the callback.
  Status readdir(MnodeNo dir, uint64_t cookie,
                 const std::function<bool(const DirectoryEntry&)>& entry,
                 Atime atime = Atime::moves);
  // The same for readdirplus: the callback also gets the attributes. An entry that it accepted has one
  // more lookup (not `.` and `..`). An entry whose object cannot be loaded comes with a null pointer.
  Status readdirplus(MnodeNo dir, uint64_t cookie,
                     const std::function<bool(const DirectoryEntry&, const Attr*)>& entry,
                     Atime atime = Atime::moves);

  // --- attributes
  Result<Attr> getattr(MnodeNo mnode);
  Result<Attr> setattr(MnodeNo mnode, const SetAttr& change);
  // kill_sgid: the set-gid bit goes when the access ACL is set, as it does where the caller is not in the group.
  Status setxattr(MnodeNo mnode, std::string_view name, ConstBytes value, XattrMode mode,
                  bool kill_sgid = false);
  Result<std::vector<std::byte>> getxattr(MnodeNo mnode, std::string_view name);
  Result<std::vector<std::string>> listxattr(MnodeNo mnode);
  Status removexattr(MnodeNo mnode, std::string_view name);

  // --- data
  // Fills up to to.size() bytes; fewer only at the file's end: one page that cannot be had fails it all.
  Result<size_t> read(MnodeNo file, uint64_t offset, Bytes to, Atime atime = Atime::moves, Buffer buffer = Buffer::foreign);
  // All of it, or an error (a part, when room or memory ended after a part). EFBIG beyond kFileBytesMax.
  Result<size_t> write(MnodeNo file, uint64_t offset, ConstBytes from, bool kill_suid_sgid = false,
                       WriteTimes times = WriteTimes::move, Buffer buffer = Buffer::foreign);
  // At the end of the file, atomically; the offset where it went.
  Result<uint64_t> append(MnodeNo file, ConstBytes from);
  Status allocate(MnodeNo file, AllocateMode mode, uint64_t offset, uint64_t length);
  // ENXIO at or beyond the end.
  Result<uint64_t> seek(MnodeNo file, uint64_t offset, SeekMode mode);
  Result<size_t> copy_range(MnodeNo source, uint64_t source_offset, MnodeNo target,
                            uint64_t target_offset, uint64_t length);

  // --- step functions, for volume (P2). All of them never wait for a commit.
  // Files with dirty pages or with times or sizes that no record carries yet, oldest first, at most
  // `count`.
  std::vector<MnodeNo> dirty_files(size_t count);
  // Samples dirty pages of the file at or after `from_page`, in order: each is marked as in writeback,
  // its dirty mark cleared before its copy is taken. Pages already in writeback are skipped; *busy tells
  // that there were such.
  std::vector<SampledPage> begin_writeback(MnodeNo file, uint64_t from_page, size_t count,
                                           bool* busy);
  // The I/O of `pages` (as begin_writeback gave them) has completed: runs say where. Logs one ExtentsOp
  // for those whose generation is still good; returns the blocks of the others (to be given back). Log
  // room was reserved by the caller.
  // Throws std::bad_alloc before it has done anything.
  std::vector<BlockNo> finish_writeback(MnodeNo file, std::span<const SampledPage> pages,
                                        const ExtentsOp& runs);
  // The same for data that travels in the record. The caller has spent the blocks of all of them.
  void finish_inline(MnodeNo file, std::span<const SampledPage> pages);
  // The I/O failed: the pages are dirty again. The caller holds one reserved block for each, which the pages
  // take back. Throws nothing.
  void abort_writeback(MnodeNo file, std::span<const SampledPage> pages);
  // Logs times and size that no record carries yet (reads under relatime, writes whose pages were logged
  // before). Nothing when there are none.
  void log_attributes(MnodeNo file);
  // Every page of the file that was dirty at the call, and its size, are in records. Not its times. May be false though
  // they are; meets nobody who does not change the file's pages (I1).
  bool is_logged(MnodeNo file) const;
  // Waits until no page of the file that was in writeback at the call still is.
  void wait_writeback(MnodeNo file);

  // Records with stamp <= `stamp` are in the checkpoint that loaders read from now on (P4).
  void set_durable_stamp(Stamp stamp);
  // One round of: delta flush of all cores, epoch advance, reclaim of dead objects, purge of tombstones.
  // True when there is more to do.
  bool maintain();
  // Evicts clean pages until page memory is at most `target_bytes`; returns what is left.
  uint64_t evict_pages(uint64_t target_bytes);
  Usage usage() const;
  // Parts of it, for who asks often.
  uint64_t page_bytes() const;
  uint64_t dirty_bytes() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalefs::memfs
