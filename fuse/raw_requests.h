// Requests as they stand in the kernel's buffer: what libfuse 3.14 drops of those that it decodes.
#pragma once

#include <cstdint>

#include "base/bytes.h"

struct fuse_in_header;

namespace scalefs::fuse {

// The request that this thread is serving; set by the transport's read hook. The buffer behind it
// holds at least what libfuse checked before it called the operation.
void set_current_request(const fuse_in_header* header);

// Its kind (FUSE_LOOKUP, ...), and the object that it is about; 0 without one.
uint32_t current_opcode();
uint64_t current_node();

// Whether the kernel asks to drop the set-id bits, of an OPEN that truncates. False for a request of another kind.
bool current_open_kills_set_id();

// libfuse 3.14 knows the short form of SETXATTR alone. Takes out what FUSE_SETXATTR_EXT has added, and answers what is
// left of the request, which is one of another kind or is not whole if nothing was to be taken.
Bytes shorten_setxattr(Bytes request);
// What was taken out of the current request: the set-gid bit goes with an access ACL that is set.
bool current_setxattr_kills_sgid();

}  // namespace scalefs::fuse
