#include "memfs/record_places.h"

namespace scalefs::memfs {

uint32_t xattrs_places(const XattrPairs& xattrs) {
  uint32_t places = 0;
  for (const auto& [name, value] : xattrs) places += xattr_places(value.size());
  return places;
}

uint32_t places_of(const CreateOp& op) {
  return (op.symlink_target.empty() ? kNamePlaces : kSymlinkPlaces) + xattrs_places(op.xattrs);
}

uint32_t places_of(const SetAttrOp&) { return kAttributePlaces; }

uint32_t places_of(const AllocateOp& op) { return allocate_places(op.count); }

uint32_t places_of(const ExtentsOp& op) {
  uint64_t pieces = 0;
  for (const ExtentsOp::Run& run : op.runs) pieces += run_pieces(run.crcs.size());
  return data_places(pieces);
}

uint32_t places_of(const InlineOp& op) { return data_places(op.pages.size()); }

uint32_t places_of(const SetXattrOp& op) { return xattr_places(op.value.size()); }

}  // namespace scalefs::memfs
