// Requests that we decode ourselves: those that come often, since libfuse 3.14 takes a lock of the whole session twice for
// each, which on many processors is what they would meet at, and those that it does not know (TMPFILE, STATX).
#pragma once

#include "fuse/direct_reply.h"
#include "fuse/file_system.h"

struct fuse_in_header;

namespace scalefs::fuse {

// Its name in the protocol, for who traces requests; null: it is libfuse's to decode.
const char* direct_request(uint32_t opcode);
// Whether the kernel sends it on behalf of whoever has opened the file, maybe someone else than who uses it now.
bool is_of_open_file(uint32_t opcode);
// Decodes and serves such a request; check_request has found it good. The answer goes to `sink`.
void serve_direct_request(FileSystem& file_system, ReplySink& sink, ConstBytes request);
// Answers a request with nothing but an error.
void refuse_request(ReplySink& sink, ConstBytes request, int code);

}  // namespace scalefs::fuse
