#include "fuse/direct_requests.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/clock.h"
#include "fuse/wire.h"

namespace scalefs::fuse {
namespace {

// What stands behind the header, taken from its front. Lengths have been checked.
class Arguments {
 public:
  Arguments(const fuse_in_header& header, ConstBytes rest) : header_(header), rest_(rest) {}

  MnodeNo node() const { return MnodeNo(header_.nodeid); }
  Context context(uint32_t umask = 0) const {
    return {.uid = header_.uid,
            .gid = header_.gid,
            .umask = umask,
            .pid = static_cast<int32_t>(header_.pid)};
  }
  template <class Fixed>
  Fixed take() {
    Fixed out;
    std::memcpy(&out, rest_.data(), sizeof(out));
    rest_ = rest_.subspan(sizeof(out));
    return out;
  }
  std::string_view name() {
    const char* const text = reinterpret_cast<const char*>(rest_.data());
    const std::string_view found(text, std::strlen(text));
    rest_ = rest_.subspan(found.size() + 1);
    return found;
  }
  ConstBytes bytes(size_t count) const { return rest_.first(count); }

 private:
  const fuse_in_header& header_;
  ConstBytes rest_;
};

// Times beyond what 64 bits of nanoseconds hold (the years 1677 to 2262) are as far as they go.
int64_t to_ns(uint64_t seconds, uint32_t nanoseconds) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  constexpr int64_t kSecondsMax = INT64_MAX / kNsPerSecond - 8;  // the kernel's nanoseconds are 32 bits
  return std::clamp(static_cast<int64_t>(seconds), -kSecondsMax, kSecondsMax) * kNsPerSecond + nanoseconds;
}

memfs::SetAttr to_change(const fuse_setattr_in& in) {
  memfs::SetAttr change;
  if (in.valid & FATTR_MODE) change.mode = in.mode & 07777u;
  if (in.valid & FATTR_UID) change.uid = in.uid;
  if (in.valid & FATTR_GID) change.gid = in.gid;
  if (in.valid & FATTR_SIZE) change.size = in.size;
  if (in.valid & FATTR_ATIME) change.atime_ns = to_ns(in.atime, in.atimensec);
  if (in.valid & FATTR_MTIME) change.mtime_ns = to_ns(in.mtime, in.mtimensec);
  if (in.valid & FATTR_CTIME) change.ctime_ns = to_ns(in.ctime, in.ctimensec);
  if (in.valid & FATTR_ATIME_NOW) change.atime_ns = memfs::SetAttr::kNow;
  if (in.valid & FATTR_MTIME_NOW) change.mtime_ns = memfs::SetAttr::kNow;
  if (in.valid & FATTR_KILL_SUIDGID) change.kill_suid_sgid = true;
  return change;
}

// O_NOATIME of the file that is read.
memfs::Atime atime_of(const fuse_read_in& in) {
  return (in.flags & O_NOATIME) != 0 ? memfs::Atime::stays : memfs::Atime::moves;
}

void forget(FileSystem& to, uint32_t opcode, Arguments body) {
  if (opcode == FUSE_FORGET) {
    const memfs::Lookups one = {body.node(), body.take<fuse_forget_in>().nlookup};
    return to.forget({&one, 1});
  }
  const auto in = body.take<fuse_batch_forget_in>();
  std::array<memfs::Lookups, 64> several;
  for (uint32_t done = 0; done < in.count;) {
    const size_t count = std::min<size_t>(in.count - done, several.size());
    for (size_t i = 0; i < count; ++i) {
      const auto one = body.take<fuse_forget_one>();
      several[i] = {MnodeNo(one.nodeid), one.nlookup};
    }
    to.forget({several.data(), count});
    done += static_cast<uint32_t>(count);
  }
}

void rename(FileSystem& to, Arguments body, uint64_t new_parent, uint32_t flags, Responder reply) {
  const std::string_view source = body.name();
  to.rename(body.context(), body.node(), source, MnodeNo(new_parent), body.name(), flags, std::move(reply));
}

void serve(FileSystem& to, uint32_t opcode, Arguments body, Responder reply) {
  switch (opcode) {
    case FUSE_LOOKUP: return to.lookup(body.node(), body.name(), std::move(reply));
    case FUSE_GETATTR:
    case wire::kOpcodeStatx: return to.getattr(body.node(), std::move(reply));
    case FUSE_SETATTR:
      return to.setattr(body.context(), body.node(), to_change(body.take<fuse_setattr_in>()), std::move(reply));
    case FUSE_MKNOD: {
      const auto in = body.take<fuse_mknod_in>();
      return to.mknod(body.context(in.umask), body.node(), body.name(), in.mode, in.rdev, std::move(reply));
    }
    case FUSE_MKDIR: {
      const auto in = body.take<fuse_mkdir_in>();
      return to.mkdir(body.context(in.umask), body.node(), body.name(), in.mode, std::move(reply));
    }
    case FUSE_TMPFILE: {
      const auto in = body.take<fuse_create_in>();
      return to.tmpfile(body.context(in.umask), body.node(), in.mode, std::move(reply));
    }
    case FUSE_UNLINK: return to.unlink(body.node(), body.name(), std::move(reply));
    case FUSE_RMDIR: return to.rmdir(body.node(), body.name(), std::move(reply));
    case FUSE_RENAME: {
      const auto in = body.take<fuse_rename_in>();
      return rename(to, body, in.newdir, 0, std::move(reply));
    }
    case FUSE_RENAME2: {
      const auto in = body.take<fuse_rename2_in>();
      return rename(to, body, in.newdir, in.flags, std::move(reply));
    }
    case FUSE_READ: {
      const auto in = body.take<fuse_read_in>();
      return to.read(body.node(), in.offset, in.size, atime_of(in), std::move(reply));
    }
    case FUSE_READDIR: {
      const auto in = body.take<fuse_read_in>();
      return to.readdir(body.node(), in.offset, in.size, atime_of(in), std::move(reply));
    }
    case FUSE_READDIRPLUS: {
      const auto in = body.take<fuse_read_in>();
      return to.readdirplus(body.node(), in.offset, in.size, atime_of(in), std::move(reply));
    }
    case FUSE_WRITE: {
      const auto in = body.take<fuse_write_in>();
      return to.write(body.node(), in.offset, body.bytes(in.size),
                      {.kill_set_id = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0,
                       .from_cache = (in.write_flags & FUSE_WRITE_CACHE) != 0},
                      std::move(reply));
    }
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: {
      const auto in = body.take<fuse_fsync_in>();
      return to.fsync(body.node(), (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0, std::move(reply));
    }
    case FUSE_SYNCFS: return to.fsync(kRootMnode, false, std::move(reply));
    case FUSE_GETXATTR: {
      const auto in = body.take<fuse_getxattr_in>();
      return to.getxattr(body.context(), body.node(), body.name(), in.size, std::move(reply));
    }
    default: reply.error(ENOSYS);
  }
}

}  // namespace

const char* direct_request(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP: return "LOOKUP";
    case FUSE_FORGET: return "FORGET";
    case FUSE_BATCH_FORGET: return "BATCH_FORGET";
    case FUSE_GETATTR: return "GETATTR";
    case wire::kOpcodeStatx: return "STATX";
    case FUSE_SETATTR: return "SETATTR";
    case FUSE_MKNOD: return "MKNOD";
    case FUSE_MKDIR: return "MKDIR";
    case FUSE_TMPFILE: return "TMPFILE";
    case FUSE_UNLINK: return "UNLINK";
    case FUSE_RMDIR: return "RMDIR";
    case FUSE_RENAME: return "RENAME";
    case FUSE_RENAME2: return "RENAME2";
    case FUSE_READ: return "READ";
    case FUSE_READDIR: return "READDIR";
    case FUSE_READDIRPLUS: return "READDIRPLUS";
    case FUSE_WRITE: return "WRITE";
    case FUSE_FSYNC: return "FSYNC";
    case FUSE_FSYNCDIR: return "FSYNCDIR";
    case FUSE_SYNCFS: return "SYNCFS";
    case FUSE_GETXATTR: return "GETXATTR";
    default: return nullptr;
  }
}

bool is_of_open_file(uint32_t opcode) {
  return opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_FSYNC || opcode == FUSE_READDIR ||
         opcode == FUSE_READDIRPLUS || opcode == FUSE_FSYNCDIR || opcode == FUSE_FORGET ||
         opcode == FUSE_BATCH_FORGET || opcode == FUSE_SYNCFS;
}

// This is where memory that ran out becomes ENOMEM: while the exception unwinds, the Responder answers.
void serve_direct_request(FileSystem& file_system, ReplySink& sink, ConstBytes request) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  const Arguments body(header, request.subspan(sizeof(header)));
  try {
    if (header.opcode == FUSE_FORGET || header.opcode == FUSE_BATCH_FORGET) {
      const uint64_t since = interval_now();
      forget(file_system, header.opcode, body);
      return sink.note_answer(header.opcode, since, header.nodeid, 0);
    }
    auto* const reply = new (std::nothrow) DirectReply(sink, header);
    if (reply == nullptr) return refuse_request(sink, request, ENOMEM);
    serve(file_system, header.opcode, body, Responder(reply));
  } catch (const std::bad_alloc&) {
  }
}

void refuse_request(ReplySink& sink, ConstBytes request, int code) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  fuse_out_header out = {};
  out.len = sizeof(out);
  out.error = -code;
  out.unique = header.unique;
  iovec part = {&out, sizeof(out)};
  (void)sink.send(&part, 1);
}

}  // namespace scalefs::fuse
