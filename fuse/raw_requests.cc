#include "fuse/raw_requests.h"

#include <linux/fuse.h>

#include <cstring>

namespace scalefs::fuse {
namespace {

thread_local const fuse_in_header* current_request = nullptr;
thread_local uint32_t setxattr_flags = 0;  // of the current request, when it is a SETXATTR

template <class Body>
const Body& body_of(const fuse_in_header* header) {
  return *reinterpret_cast<const Body*>(header + 1);
}

bool current_is(uint32_t opcode) {
  return current_request != nullptr && current_request->opcode == opcode;
}

}  // namespace

void set_current_request(const fuse_in_header* header) { current_request = header; }

uint32_t current_opcode() { return current_request != nullptr ? current_request->opcode : 0; }

uint64_t current_node() { return current_request != nullptr ? current_request->nodeid : 0; }

bool current_open_kills_set_id() {
  return current_is(FUSE_OPEN) &&
         (body_of<fuse_open_in>(current_request).open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
}

Bytes shorten_setxattr(Bytes request) {
  fuse_in_header header;
  fuse_setxattr_in in;
  std::memcpy(&header, request.data(), sizeof(header));
  if (header.opcode != FUSE_SETXATTR || header.len != request.size() ||
      request.size() < sizeof(header) + sizeof(in)) {
    return request;
  }
  std::memcpy(&in, request.data() + sizeof(header), sizeof(in));
  setxattr_flags = in.setxattr_flags;
  constexpr size_t kTaken = sizeof(in) - FUSE_COMPAT_SETXATTR_IN_SIZE;
  header.len -= kTaken;
  std::memcpy(request.data(), &header, sizeof(header));
  const Bytes rest = request.subspan(sizeof(header) + sizeof(in));
  std::memmove(rest.data() - kTaken, rest.data(), rest.size());
  return request.first(header.len);
}

bool current_setxattr_kills_sgid() {
  return current_is(FUSE_SETXATTR) && (setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
}

}  // namespace scalefs::fuse
