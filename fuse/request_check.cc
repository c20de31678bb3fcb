#include "fuse/request_check.h"

#include <linux/fuse.h>

#include <algorithm>
#include <cstring>

#include "fuse/negotiate.h"
#include "fuse/wire.h"

namespace scalefs::fuse {
namespace {

// Takes one part after the other from the front of a request.
class Body {
 public:
  explicit Body(ConstBytes bytes) : rest_(bytes) {}

  bool skip(size_t bytes) {
    if (rest_.size() < bytes) return false;
    rest_ = rest_.subspan(bytes);
    return true;
  }
  template <class Fixed>
  bool take(Fixed* to) {
    if (rest_.size() < sizeof(Fixed)) return false;
    std::memcpy(to, rest_.data(), sizeof(Fixed));
    return skip(sizeof(Fixed));
  }
  // A name and its NUL.
  bool name() {
    const void* end = rest_.empty() ? nullptr : std::memchr(rest_.data(), 0, rest_.size());
    if (end == nullptr) return false;
    return skip(static_cast<size_t>(static_cast<const std::byte*>(end) - rest_.data()) + 1);
  }

 private:
  ConstBytes rest_;
};

template <class Fixed>
bool fixed(Body body) {
  return body.skip(sizeof(Fixed));
}
template <class Fixed>
bool fixed_and_name(Body body) {
  return body.skip(sizeof(Fixed)) && body.name();
}
template <class Fixed>
bool fixed_and_two_names(Body body) {
  return body.skip(sizeof(Fixed)) && body.name() && body.name();
}
bool two_names(Body body) { return body.name() && body.name(); }

// INIT's answer says how much may be asked for.
bool read_request(Body body) {
  fuse_read_in in;
  return body.take(&in) && in.size <= kTransferBytesMax;
}

bool write_request(Body body) {
  fuse_write_in in;
  return body.take(&in) && body.skip(in.size);
}

// The extended structure is agreed on at INIT only if we ask for it.
bool setxattr_request(Body body) {
  struct {
    uint32_t size;
    uint32_t flags;
  } in;
  static_assert(sizeof(in) == FUSE_COMPAT_SETXATTR_IN_SIZE);
  return body.take(&in) && body.name() && body.skip(in.size);
}

bool ioctl_request(Body body) {
  fuse_ioctl_in in;
  return body.take(&in) && body.skip(in.in_size);
}

bool batch_forget_request(Body body) {
  fuse_batch_forget_in in;
  return body.take(&in) && body.skip(size_t{in.count} * sizeof(fuse_forget_one));
}

bool init_request(Body body) {
  struct {
    uint32_t major;
    uint32_t minor;
    uint32_t max_readahead;
    uint32_t flags;
  } in;
  return body.take(&in) && (in.major != FUSE_KERNEL_VERSION || in.minor >= kProtocolMinorMin);
}

bool is_sound(uint32_t opcode, Body body) {
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_REMOVEXATTR: return body.name();
    case FUSE_FORGET: return fixed<fuse_forget_in>(body);
    case FUSE_BATCH_FORGET: return batch_forget_request(body);
    case FUSE_GETATTR: return fixed<fuse_getattr_in>(body);
    case FUSE_SETATTR: return fixed<fuse_setattr_in>(body);
    case FUSE_SYMLINK: return two_names(body);
    case FUSE_MKNOD: return fixed_and_name<fuse_mknod_in>(body);
    case FUSE_MKDIR: return fixed_and_name<fuse_mkdir_in>(body);
    case FUSE_RENAME: return fixed_and_two_names<fuse_rename_in>(body);
    case FUSE_RENAME2: return fixed_and_two_names<fuse_rename2_in>(body);
    case FUSE_LINK: return fixed_and_name<fuse_link_in>(body);
    case FUSE_OPEN:
    case FUSE_OPENDIR: return fixed<fuse_open_in>(body);
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: return read_request(body);
    case FUSE_WRITE: return write_request(body);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return fixed<fuse_release_in>(body);
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return fixed<fuse_fsync_in>(body);
    case FUSE_SYNCFS: return fixed<fuse_syncfs_in>(body);
    case FUSE_SETXATTR: return setxattr_request(body);
    case FUSE_GETXATTR: return fixed_and_name<fuse_getxattr_in>(body);
    case FUSE_LISTXATTR: return fixed<fuse_getxattr_in>(body);
    case FUSE_FLUSH: return fixed<fuse_flush_in>(body);
    case FUSE_INIT: return init_request(body);
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW: return fixed<fuse_lk_in>(body);
    case FUSE_ACCESS: return fixed<fuse_access_in>(body);
    case FUSE_CREATE:
    case FUSE_TMPFILE: return fixed_and_name<fuse_create_in>(body);
    case FUSE_BMAP: return fixed<fuse_bmap_in>(body);
    case FUSE_IOCTL: return ioctl_request(body);
    case FUSE_POLL: return fixed<fuse_poll_in>(body);
    case FUSE_FALLOCATE: return fixed<fuse_fallocate_in>(body);
    case FUSE_LSEEK: return fixed<fuse_lseek_in>(body);
    case FUSE_COPY_FILE_RANGE: return fixed<fuse_copy_file_range_in>(body);
    default: return true;
  }
}

// Requests that nobody waits for an answer to.
bool has_no_answer(uint32_t opcode) {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
         opcode == FUSE_NOTIFY_REPLY;
}

}  // namespace

RequestVerdict check_request(ConstBytes request) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  // Nothing that we do is broken off before its end, and we ask the kernel for nothing. libfuse keeps
  // both kinds for a time that does not come.
  if (header.opcode == FUSE_INTERRUPT || header.opcode == FUSE_NOTIFY_REPLY) {
    return RequestVerdict::ignored;
  }
  if (header.len == request.size() &&
      is_sound(header.opcode, Body(request.subspan(sizeof(header))))) {
    return RequestVerdict::good;
  }
  return has_no_answer(header.opcode) ? RequestVerdict::ignored : RequestVerdict::malformed;
}

}  // namespace scalefs::fuse
