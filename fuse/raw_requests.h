// Requests as they stand in the kernel's buffer: what libfuse 3.14 drops of those that it knows, and
// those that it does not know.
#pragma once

#include <sys/uio.h>

#include <cstdint>

#include "fuse/file_system.h"

struct fuse_in_header;

namespace scalefs::fuse {

// The request that this thread is serving; set by the transport's read hook. The buffer behind it
// holds at least what libfuse checked before it called the operation.
void set_current_request(const fuse_in_header* header);

// Its kind (FUSE_LOOKUP, ...), and the object that it is about; 0 without one.
uint32_t current_opcode();
uint64_t current_node();

// Whether the kernel asks to drop the set-id bits: of a WRITE, and of an OPEN that truncates. False
// for a request of another kind.
bool current_write_kills_set_id();
bool current_open_kills_set_id();

// libfuse 3.14 knows the short form of SETXATTR alone. Takes out what FUSE_SETXATTR_EXT has added, and answers what is
// left of the request, which is one of another kind or is not whole if nothing was to be taken.
Bytes shorten_setxattr(Bytes request);
// What was taken out of the current request: the set-gid bit goes with an access ACL that is set.
bool current_setxattr_kills_sgid();

// What a READ, READDIR or READDIRPLUS does to the atime: whether the file was opened with O_NOATIME.
memfs::Atime current_read_atime();

// Whether its reply may be made where the request stands: nothing of it is needed any more.
bool current_reply_may_be_in_place();

// FUSE_TMPFILE and FUSE_STATX.
bool is_raw_request(uint32_t opcode);
// Where a reply goes; what writev(2) answers.
class ReplySink {
 public:
  virtual ssize_t send(iovec* parts, int count) = 0;

 protected:
  ~ReplySink() = default;
};
// Decodes and serves such a request, and sends the reply to `sink`. check_request has found it
// good.
void serve_raw_request(FileSystem& file_system, ReplySink& sink, ConstBytes request);
// Answers a request with nothing but an error.
void refuse_request(ReplySink& sink, ConstBytes request, int code);

}  // namespace scalefs::fuse
