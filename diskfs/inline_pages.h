// Pages whose content came inside batches and which have no block yet: kept until the end of an
// apply, so that a page that is superseded before costs none (P4). Views of what the batches carry, which must stay. Not
// thread-safe.
#pragma once

#include <map>
#include <optional>

#include "diskfs/file_map.h"

namespace scalefs::diskfs {

class InlinePages {
 public:
  // Content without trailing zeros, not copied. Replaces what was there.
  void put(Ino ino, uint64_t page, ConstBytes content);
  // Forgets pages [from, to) and returns how many there were.
  uint64_t remove(Ino ino, uint64_t from, uint64_t to);
  // The first one at `page` or behind it.
  std::optional<uint64_t> next(Ino ino, uint64_t page) const;
  bool empty() const { return pages_.empty(); }

  // Gives all pages blocks, writes them, maps them and tells the sink. Pages of one file lie together, and those of several
  // share a write.
  // Returns the number of pages.
  Result<uint64_t> place(FileMap& map, SpaceSink& sink, const TreeWriter::Allocate& allocate,
                         const TreeWriter::Write& write);

 private:
  using Pages = std::map<std::pair<uint64_t, uint64_t>, ConstBytes>;  // by (ino, page)
  Pages pages_;
};

// The content without the zeros at its end.
ConstBytes without_trailing_zeros(ConstBytes content);

}  // namespace scalefs::diskfs
