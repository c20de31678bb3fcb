// What is known of ranges of a file's pages beyond the slots and the checkpoint, so that large ranges cost no
// memory a page. Disjoint intervals of two kinds:
//   hole       truncated or punched, or the file is new. Goes when the durable checkpoint covers its
//              youngest record, for then the checkpoint says so.
//   unwritten  allocated here, with one reserved block for each page of it that has no slot. Stays, for it
//              keeps these reservations; what another mount allocated is not here and has none.
//
// Rules. A slot that is not absent overrides the overlay. A slot with a block or content may become absent
// only where no interval is left; an unwritten one may be taken away there for that (forget()).
//
// Under the file's mutex. Throws std::bad_alloc, before it has changed what its answers are.
#pragma once

#include <map>
#include <optional>

#include "memfs/types.h"

namespace scalefs::memfs {

class Overlay {
 public:
  enum class Kind : uint8_t { hole, unwritten };
  // A record that the object's creation will have; see settle().
  static constexpr Stamp kUnsettled = UINT64_MAX;
  static constexpr uint64_t kEnd = UINT64_MAX;

  // Pages [from, to) are holes.
  void set_hole(uint64_t from, uint64_t to, Stamp stamp) { set(from, to, Kind::hole, stamp); }
  void set_unwritten(uint64_t from, uint64_t to) { set(from, to, Kind::unwritten, 0); }
  // No interval any more.
  void forget(uint64_t from, uint64_t to);
  // Intervals that wait for the creation's stamp get one that is not below it.
  void settle(Stamp stamp);
  // Drops the holes that the checkpoint knows.
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
