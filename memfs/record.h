// The logical operations that MemFS logs, in mnode terms and with absolute results rather than
// procedures, except for counts (+1, -1), which commute. volume/ translates them to batches.
//
// One operation is one OpRecord with one stamp: it never straddles two batches. Times in a record are
// what the touched objects show afterwards at the least (a directory's mtime and ctime are maxima:
// translation takes the larger of what it has and what the record says; a SetAttrOp sets the mtime, and one that it set to
// later than the ctime is replaced by what the next record says).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "memfs/types.h"

namespace scalefs::memfs {

// A new object; with a name (create, mkdir, mknod, symlink) or without (O_TMPFILE: parent is 0).
// attr.nlink is the count after the operation (0 for O_TMPFILE, 1, or 2 for a directory).
struct CreateOp {
  Attr attr;
  MnodeNo parent;
  std::string name;
  std::string symlink_target;                       // symlinks only
  std::vector<std::pair<std::string, std::vector<std::byte>>> xattrs;  // inherited ACLs
};
// A further name: +1.
struct LinkOp {
  MnodeNo parent;
  std::string name;
  MnodeNo target;
  uint8_t type = 0;
};
// A name less: -1 (a directory: -2, and its parent -1). At 0 the target is an orphan.
struct UnlinkOp {
  MnodeNo parent;
  std::string name;
  MnodeNo target;
  uint8_t type = 0;
};
// replaced: what the new name meant before (0: nothing); it loses the name as by unlink, unless
// exchange, where it gets the old name. whiteout: a character device 0/0 is left at the old name.
struct RenameOp {
  MnodeNo source_parent;
  std::string source_name;
  MnodeNo target_parent;
  std::string target_name;
  MnodeNo moved;
  uint8_t moved_type = 0;
  MnodeNo replaced;
  uint8_t replaced_type = 0;
  bool exchange = false;
  std::optional<Attr> whiteout;
  std::vector<std::pair<std::string, std::vector<std::byte>>> whiteout_xattrs = {};  // inherited ACLs
};
// Explicitly set attributes: those that are present.
struct SetAttrOp {
  MnodeNo target;
  std::optional<uint32_t> mode, uid, gid, flags;
  std::optional<int64_t> atime_ns, mtime_ns;
};
// A covered_size that says: the durable size stays. The times of such a record are those of the call alone: what the
// object shows is at least that.
inline constexpr uint64_t kSizeUnchanged = UINT64_MAX;
// The file has no data at or beyond `size` any more; the durable size becomes covered_size, which is
// below `size` while data under it is not in place (durability contract: no size before its data).
struct TruncateOp {
  MnodeNo target;
  uint64_t size = 0;
  uint64_t covered_size = 0;
};
// Pages [from_page, to_page) become a hole. UINT64_MAX: to the end.
struct PunchOp {
  MnodeNo target;
  uint64_t from_page = 0;
  uint64_t to_page = 0;
  uint64_t covered_size = 0;
};
// Pages that are holes in the range become allocated and unwritten.
struct AllocateOp {
  MnodeNo target;
  uint64_t page = 0;
  uint64_t count = 0;
  uint64_t covered_size = 0;
};
// Data that stands in blocks already (I/O completed). Runs of file pages.
struct ExtentsOp {
  struct Run {
    uint64_t page = 0;
    BlockNo block;
    std::vector<uint32_t> crcs;
  };
  MnodeNo target;
  std::vector<Run> runs;
  uint64_t covered_size = 0;
};
// Small data carried by the record itself: whole pages, cut after the last byte inside the file.
struct InlineOp {
  struct Page {
    uint64_t page = 0;
    std::vector<std::byte> bytes;
  };
  MnodeNo target;
  std::vector<Page> pages;
  uint64_t covered_size = 0;
};
struct SetXattrOp {
  MnodeNo target;
  std::string name;
  std::vector<std::byte> value;
  std::optional<uint32_t> mode;  // an access ACL changes the mode's group bits
};
struct RemoveXattrOp {
  MnodeNo target;
  std::string name;
};
// Last name and last lookup are gone: the object's end.
struct ReclaimOp {
  MnodeNo target;
};

struct OpRecord final : oplog::LogEntry {
  std::variant<CreateOp, LinkOp, UnlinkOp, RenameOp, SetAttrOp, TruncateOp, PunchOp, AllocateOp,
               ExtentsOp, InlineOp, SetXattrOp, RemoveXattrOp, ReclaimOp>
      op;
  int64_t mtime_ns = 0;  // of the directories (names) or of the target (data); 0: unchanged
  int64_t ctime_ns = 0;  // of every touched object; 0: unchanged
};

// What the caller of MemFs' step functions reserves as Need::log_bytes before the call, and what the
// record then gives back (LogEntry::cost_bytes). A call that logs nothing gives it back itself.
inline constexpr uint64_t kRecordLogBytes = sizeof(OpRecord) + 64;
// finish_writeback of so many pages.
inline constexpr uint64_t extents_log_bytes(uint64_t pages) {
  return kRecordLogBytes + pages * (sizeof(ExtentsOp::Run) + sizeof(uint32_t) + 16);
}
// finish_inline of so many pages.
inline constexpr uint64_t inline_log_bytes(uint64_t pages) {
  return kRecordLogBytes + pages * (sizeof(InlineOp::Page) + kBlockBytes + 16);
}
// log_attributes.
inline constexpr uint64_t attributes_log_bytes() { return 2 * kRecordLogBytes; }

}  // namespace scalefs::memfs
