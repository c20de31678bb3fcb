// How much of the tree on disk a record may change, for reservations (Need::tree_places,
// LogEntry::cost_places; P6). A place is a leaf that changes, or a neighbour of one that loses something;
// at most every third place is an item inserted. Upper bounds for whatever one batch makes of the record,
// with the piece into which a range may split an older one of the same batch. volume/ checks them
// against what diskfs/ counts.
#pragma once

#include <algorithm>

#include "memfs/record.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

inline constexpr uint32_t kAttributePlaces = 3;
// Two objects, a name, an orphan.
inline constexpr uint32_t kNamePlaces = 12;
// One more for the link's content.
inline constexpr uint32_t kSymlinkPlaces = kNamePlaces + 15;
// Five objects, three names, an orphan.
inline constexpr uint32_t kRenamePlaces = 27;
inline constexpr uint32_t kReclaimPlaces = 9;
// One range of a file, in one piece on disk.
inline constexpr uint32_t kRangePlaces = 27;

inline constexpr uint32_t xattr_places(size_t value_bytes) {
  constexpr size_t kBytesAnItem = 1024;
  return 12 + 3 * static_cast<uint32_t>(value_bytes / kBytesAnItem);
}
inline constexpr uint32_t data_places(uint64_t runs) {
  return kAttributePlaces + kRangePlaces * static_cast<uint32_t>(runs);
}
// Of a run of consecutive blocks.
inline constexpr uint64_t run_pieces(uint64_t blocks) { return blocks / 128 + 1; }
// What lies between pages that are mapped already comes to stand in the same leaves as they.
inline constexpr uint32_t allocate_places(uint64_t pages) {
  constexpr uint64_t kPagesAPlace = 64;
  return kAttributePlaces + kRangePlaces +
         static_cast<uint32_t>(std::min<uint64_t>(pages / kPagesAPlace, 1u << 28));
}

uint32_t xattrs_places(const XattrPairs& xattrs);
uint32_t places_of(const CreateOp& op);
uint32_t places_of(const SetAttrOp& op);
uint32_t places_of(const AllocateOp& op);
uint32_t places_of(const ExtentsOp& op);
uint32_t places_of(const InlineOp& op);
uint32_t places_of(const SetXattrOp& op);
inline uint32_t places_of(const LinkOp&) { return kNamePlaces; }
inline uint32_t places_of(const UnlinkOp&) { return kNamePlaces; }
inline uint32_t places_of(const RenameOp&) { return kRenamePlaces; }
inline uint32_t places_of(const TruncateOp&) { return kRangePlaces; }
inline uint32_t places_of(const PunchOp&) { return kRangePlaces; }
inline uint32_t places_of(const RemoveXattrOp&) { return xattr_places(0); }
inline uint32_t places_of(const ReclaimOp&) { return kReclaimPlaces; }

}  // namespace scalefs::memfs
