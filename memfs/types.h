// The vocabulary of MemFS' calls. Errors of every call are errno values as the Linux manual pages
// list them; permissions are the caller's (the kernel's) business.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "oplog/op_log.h"

namespace scalefs::memfs {

using oplog::Stamp;

// Who calls: owner of what is created. `umask` applies where the parent has no default ACL.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 0;
};

// As stat(2) shows an object. Times in nanoseconds since 1970. blocks in units of 512 bytes.
struct Attr {
  MnodeNo mnode;
  uint32_t mode = 0;
  uint32_t flags = 0;  // FS_IOC_GETFLAGS bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint32_t generation = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  int64_t btime_ns = 0;
  friend bool operator==(const Attr&, const Attr&) = default;
};

// What setattr changes; times: kNow stands for the time of the call.
struct SetAttr {
  static constexpr int64_t kNow = INT64_MIN;
  std::optional<uint32_t> mode;   // permission bits; the type stays
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<int64_t> atime_ns;
  std::optional<int64_t> mtime_ns;
  std::optional<int64_t> ctime_ns;
  std::optional<uint32_t> flags;
  bool kill_suid_sgid = false;    // drop set-id bits as write and chown do
};

enum class RenameMode : uint8_t { replace, no_replace, exchange, whiteout, whiteout_no_replace };

// fallocate(2): what FALLOC_FL_* bits select.
enum class AllocateMode : uint8_t { allocate, allocate_keep_size, punch_hole, zero_range,
                                    zero_range_keep_size };

// Whether a read moves the access time as the options say (relatime); O_NOATIME asks that it stays.
enum class Atime : uint8_t { moves, stays };

// Whether a write moves mtime and ctime. Where it does not, whoever wrote is to set them.
enum class WriteTimes : uint8_t { move, stay };

// The memory that a read fills or a write takes. foreign: it may fault, even into this file system, so that it is touched with
// nothing held and the bytes go by way of memory of ours (P6). own: no copy to or from it waits for anybody, as buffers of the
// program's that serves the file system; they are spared the second copy.
enum class Buffer : uint8_t { foreign, own };

enum class SeekMode : uint8_t { data, hole };

enum class XattrMode : uint8_t { set, create, replace };

// Some of an object's lookups.
struct Lookups {
  MnodeNo mnode;
  uint64_t count = 0;
};

struct DirectoryEntry {
  std::string_view name;  // valid during the callback
  MnodeNo mnode;
  uint8_t type = 0;       // DT_*
  uint64_t next_cookie = 0;
};

struct Usage {  // of what memory holds; volume adds the device
  uint64_t mnodes = 0;
  uint64_t page_bytes = 0;
  uint64_t dirty_bytes = 0;
};

}  // namespace scalefs::memfs
