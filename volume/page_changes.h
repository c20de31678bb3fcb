// The net effect of one batch on the pages of one file. Operations are taken in stamp order;
// emit() adds to a batch what is left of them.
//
// Pages that nothing here touched keep what the tree has. For the others the last word counts, where
//   hole       is what punch and truncate leave,
//   filled     is unwritten where the tree has a hole, else what the tree has (fallocate),
//   unwritten  is a hole that was filled afterwards,
//   extent     is a block with its checksum,
//   bytes      is content carried by the batch.
// An extent that is replaced before emit() was never named by a batch: its blocks come out of
// take_replaced(), and only from there may they be given back (P3).
//
// Checksums and content are views of the records: those must outlive this object. Not thread-safe.
#pragma once

#include <map>
#include <vector>

#include "diskfs/batch.h"
#include "diskfs/types.h"

namespace scalefs::volume {

class PageChanges {
 public:
  // Pages [from, to); UINT64_MAX means to the end.
  void punch(uint64_t from, uint64_t to);
  void fill(uint64_t page, uint64_t count);
  void put_extent(uint64_t page, BlockNo first, std::span<const uint32_t> crcs);
  void put_bytes(uint64_t page, ConstBytes content);
  // The object ends: nothing of this is emitted, its blocks are all replaced.
  void drop_all();

  bool empty() const { return segments_.empty(); }
  // `fresh`: no earlier batch has mapped a page of this file, so there is nothing to punch.
  void emit(diskfs::Batch& batch, Ino ino, bool fresh) const;
  std::vector<diskfs::BlockRun> take_replaced() { return std::move(replaced_); }
  // About how long what emit() adds is encoded.
  size_t bytes_estimate() const;
  // Of what emit() adds: blocks named and pages carried.
  uint64_t blocks() const;
  uint64_t pages_carried() const;

 private:
  enum class Kind : uint8_t { hole, filled, unwritten, extent, bytes };
  struct Segment {
    uint64_t end = 0;  // exclusive
    Kind kind = Kind::hole;
    BlockNo first;                   // extent
    std::span<const uint32_t> crcs;  // extent
    ConstBytes content;              // bytes: always one page
  };
  using Segments = std::map<uint64_t, Segment>;  // by first page; disjoint

  // Makes `page` a boundary.
  void split(uint64_t page);
  // Removes all segments of [from, to).
  void carve(uint64_t from, uint64_t to);
  void emit_holes(diskfs::Batch& batch, Ino ino) const;
  void emit_unwritten(diskfs::Batch& batch, Ino ino) const;
  void emit_extents(diskfs::Batch& batch, Ino ino) const;

  Segments segments_;
  std::vector<diskfs::BlockRun> replaced_;
};

}  // namespace scalefs::volume
