#include "fuse/raw_requests.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>

#include "fuse/wire.h"

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

// The replies that serve_raw_request can give: lives on its caller's stack, because both requests are
// answered before the operation returns.
class RawReply final : public Reply {
 public:
  RawReply(ReplySink& sink, uint64_t unique) : sink_(sink), unique_(unique) {}

  void error(int code) override { send(code, {}); }
  bool created(const Attr& attr, const OpenMode& mode) override {
    struct {
      fuse_entry_out entry;
      fuse_open_out open;
    } out = {wire::to_entry(attr), {}};
    out.open.open_flags = wire::open_flags(mode);
    return send(0, std::as_bytes(std::span(&out, 1)));
  }
  void attr(const Attr& attr) override {
    const wire::StatxOut out = wire::to_statx(attr);
    send(0, std::as_bytes(std::span(&out, 1)));
  }

  Bytes buffer(size_t) override { wrong(); }
  bool pack_entry(const memfs::DirectoryEntry&, size_t) override { wrong(); }
  bool pack_entry_plus(const memfs::DirectoryEntry&, const Attr*, size_t) override { wrong(); }
  void none() override { wrong(); }
  bool entry(const Attr&) override { wrong(); }
  void no_entry() override { wrong(); }
  void opened(const OpenMode&) override { wrong(); }
  void filled(size_t) override { wrong(); }
  bool listing() override { wrong(); }
  void data(ConstBytes) override { wrong(); }
  void written(size_t) override { wrong(); }
  void xattr_size(size_t) override { wrong(); }
  void offset(uint64_t) override { wrong(); }
  void statfs(const volume::StatFs&) override { wrong(); }

 private:
  [[noreturn]] static void wrong() {
    check_failed(__FILE__, __LINE__, "a reply that this request does not have");
  }
  bool send(int code, ConstBytes payload) {
    fuse_out_header header = {};
    header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
    header.error = -code;
    header.unique = unique_;
    iovec parts[2] = {{&header, sizeof(header)},
                      {const_cast<std::byte*>(payload.data()), payload.size()}};
    return sink_.send(parts, payload.empty() ? 1 : 2) == static_cast<ssize_t>(header.len);
  }

  ReplySink& sink_;
  const uint64_t unique_;
};

}  // namespace

void set_current_request(const fuse_in_header* header) { current_request = header; }

uint32_t current_opcode() { return current_request != nullptr ? current_request->opcode : 0; }

uint64_t current_node() { return current_request != nullptr ? current_request->nodeid : 0; }

bool current_write_kills_set_id() {
  return current_is(FUSE_WRITE) &&
         (body_of<fuse_write_in>(current_request).write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
}

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

bool current_reply_may_be_in_place() {
  return current_is(FUSE_READ) || current_is(FUSE_READDIR) || current_is(FUSE_READDIRPLUS);
}

memfs::Atime current_read_atime() {
  const bool reads = current_reply_may_be_in_place();
  return reads && (body_of<fuse_read_in>(current_request).flags & O_NOATIME) != 0
             ? memfs::Atime::stays
             : memfs::Atime::moves;
}

bool is_raw_request(uint32_t opcode) {
  return opcode == FUSE_TMPFILE || opcode == wire::kOpcodeStatx;
}

void refuse_request(ReplySink& sink, ConstBytes request, int code) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  RawReply(sink, header.unique).error(code);
}

void serve_raw_request(FileSystem& file_system, ReplySink& sink, ConstBytes request) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  RawReply reply(sink, header.unique);
  try {
    Responder responder(&reply);
    if (header.opcode == wire::kOpcodeStatx) {
      return file_system.getattr(MnodeNo(header.nodeid), std::move(responder));
    }
    fuse_create_in in;
    std::memcpy(&in, request.data() + sizeof(header), sizeof(in));
    const Context context = {.uid = header.uid,
                             .gid = header.gid,
                             .umask = in.umask,
                             .pid = static_cast<int32_t>(header.pid)};
    file_system.tmpfile(context, MnodeNo(header.nodeid), in.mode, std::move(responder));
  } catch (const std::bad_alloc&) {
    // The Responder has answered.
  }
}

}  // namespace scalefs::fuse
