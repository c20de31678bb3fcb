// What truncate, punch and allocate did to ranges of a file that the checkpoint does not know yet, for
// pages without a slot: large ranges cost no memory a page. Disjoint intervals of pages, each with the
// stamp of its youngest record; an interval goes when the durable checkpoint covers that stamp.
//
// Rules. A slot that is not absent overrides the overlay. A slot that knows more than the overlay and the checkpoint
// together (a block, content) may become absent only where no interval is left.
//
// Under the file's mutex. Throws std::bad_alloc, before it has changed anything that matters.
#pragma once

#include <map>
#include <optional>

#include "memfs/types.h"

namespace scalefs::memfs {

class Overlay {
 public:
  enum class Kind : uint8_t {
    hole,       // truncated or punched, or the file is new
    unwritten,  // allocated where there was a hole
    filled,     // allocated where the checkpoint decides: its holes are unwritten now, the rest stays
  };
  // A record that the object's creation will have; see settle().
  static constexpr Stamp kUnsettled = UINT64_MAX;
  static constexpr uint64_t kEnd = UINT64_MAX;

  // Pages [from, to) are holes.
  void set_hole(uint64_t from, uint64_t to, Stamp stamp) { set(from, to, Kind::hole, stamp); }
  // They are allocated, and zero.
  void set_unwritten(uint64_t from, uint64_t to, Stamp stamp) {
    set(from, to, Kind::unwritten, stamp);
  }
  // What are holes in [from, to) becomes unwritten. `bare_is_hole`: no checkpoint stands behind.
  void fill(uint64_t from, uint64_t to, Stamp stamp, bool bare_is_hole);
  // Without a checkpoint a hole needs no interval.
  void forget(uint64_t from, uint64_t to);
  // Intervals that wait for the creation's stamp get one that is not below it.
  void settle(Stamp stamp);
  // Drops what the checkpoint knows.
  void purge(Stamp durable);

  std::optional<Kind> at(uint64_t page) const;
  // How far what at(page) says reaches: the first page of another answer.
  uint64_t same_until(uint64_t page) const;
  bool empty() const { return ranges_.empty(); }
  size_t size() const { return ranges_.size(); }

 private:
  struct Range {
    uint64_t to;
    Kind kind;
    Stamp stamp;
  };
  using Ranges = std::map<uint64_t, Range>;  // by first page

  void split(uint64_t page);
  void set(uint64_t from, uint64_t to, Kind kind, Stamp stamp);
  void merge_around(uint64_t from, uint64_t to);

  Ranges ranges_;
};

}  // namespace scalefs::memfs
