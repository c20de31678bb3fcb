// What MemFS asks for that it has not in memory, in its own words. volume/ implements it over DiskFS; a
// pure memory file system has none (nullptr): then everything is in memory and nothing is logged.
//
// Every call may do I/O and wait: MemFS calls with no lock, no slot, no page lock and outside of
// epochs (P6), except where said. A load never overwrites what is in memory (P4): MemFS merges.
//
// Loaders read the last durable checkpoint; MemFS knows from durable_stamp (MemFs::set_durable_stamp)
// what that covers, and keeps in memory whatever is younger: attributes, names and tombstones,
// mappings of pages, inline pages.
#pragma once

#include <memory>

#include "memfs/types.h"

namespace scalefs::memfs {

struct LoadedObject {
  Attr attr;            // attr.mnode is set
  MnodeNo parent;       // of a directory
  uint64_t entries = 0; // of a directory
};

struct LoadedEntry {
  uint64_t hash = 0;
  std::string name;
  MnodeNo mnode;
  uint8_t type = 0;
};

struct LoadedEntries {
  std::vector<LoadedEntry> entries;     // in order of hash, whole groups of equal hashes
  std::optional<uint64_t> next_hash;    // none: the directory's end
};

// What one file page is on disk.
struct LoadedPage {
  enum class Kind : uint8_t { hole, unwritten, block, bytes } kind = Kind::hole;
  BlockNo block;
  uint32_t crc = 0;
  std::vector<std::byte> bytes;  // Kind::bytes; zeros follow
};

// What a call will need at the most. Log bytes are given back by the record's consumer; what a call did
// not use comes back through unreserve. Places always come back at the call's end: from then on the
// records in the log count for themselves (LogEntry::cost_places).
struct Need {
  uint64_t log_bytes = 0;
  uint64_t blocks = 0;        // data blocks: one for each page that may become dirty
  uint64_t memory_bytes = 0;  // pages that may be added to the cache
  uint32_t tree_places = 0;   // what the records change on disk (record_places.h); until they are logged
  bool always = false;        // unlink, truncate, punch, reclaim: served from the reserve, never ENOSPC
};

class Backend {
 public:
  virtual ~Backend() = default;

  // --- admission (I9, P6). Waits for commits, writeback or a checkpoint when limits are reached. ENOSPC when
  // there is no room, EROFS when the volume is read-only, EIO when it has failed or was shut down.
  // memory_bytes is what the cache is about to grow by, to wait for eviction by; it is never given back, for the
  // cache is counted as it is (MemFs::usage). A need of memory alone (a read) always succeeds.
  virtual Status reserve(const Need& need) = 0;
  virtual void unreserve(const Need& unused) = 0;
  // Pages hold so many blocks more (or fewer) of those that calls have reserved. Told once a call, at its
  // end and before unreserve(), and not if nothing has changed: what the user is told of free space
  // depends on it, and must not change with what calls reserve for a moment (I1).
  virtual void pages_hold(int64_t /*blocks*/) {}

  // --- loading. EIO, EUCLEAN: the object cannot be read.
  // The object behind a name of the checkpoint. ENOENT when the name is not there.
  virtual Result<LoadedObject> load_child(MnodeNo dir, uint64_t hash, std::string_view name) = 0;
  // Names from `from_hash` on, at least `count` unless the end comes first.
  virtual Result<LoadedEntries> load_entries(MnodeNo dir, uint64_t from_hash, size_t count) = 0;
  // Mappings of `count` pages, one each.
  virtual Result<std::vector<LoadedPage>> load_mapping(MnodeNo file, uint64_t page,
                                                       size_t count) = 0;
  // A page >= `page` such that everything from `page` up to it is a hole; UINT64_MAX when nothing
  // follows. The nearer to the next page that is mapped the better; `page` itself is always right.
  virtual Result<uint64_t> next_mapped(MnodeNo /*file*/, uint64_t page) { return page; }
  virtual Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> load_xattrs(
      MnodeNo object) = 0;

  // Keeps every block that a mapping read after this call may name from being reused (P3). Held across
  // read_blocks.
  class ReadPin {
   public:
    virtual ~ReadPin() = default;
  };
  virtual std::unique_ptr<ReadPin> pin_reads() = 0;
  // Consecutive blocks, each checked against its CRC. `to` is crcs.size() pages.
  virtual Status read_blocks(BlockNo first, std::span<const uint32_t> crcs, Bytes to) = 0;

  // --- writing back. Writes the file's pages that are dirty now and logs their extents (P2); used by
  // a rename that replaces a name, before it locks. Errors are the write's.
  virtual Status write_back(MnodeNo file) = 0;

  // --- numbers. More mnode numbers for `core`: returns the new limit of its counter, made durable ahead of use
  // (P5).
  virtual Result<uint64_t> extend_mnode_numbers(uint32_t core) = 0;

  // --- ends. Called when an mnode leaves memory. May be called under an epoch; does not wait.
  virtual void dropped(MnodeNo mnode) = 0;
};

}  // namespace scalefs::memfs
