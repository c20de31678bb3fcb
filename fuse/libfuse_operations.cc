#include "fuse/libfuse_operations.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <new>

#include "fuse/libfuse_reply.h"
#include "fuse/libfuse_transport.h"
#include "fuse/negotiate.h"
#include "fuse/raw_requests.h"
#include "fuse/shutdown_mode.h"

namespace scalefs::fuse {
namespace {

// Stops the volume as a crash would; what ext4, xfs and f2fs call GOINGDOWN.
constexpr unsigned kIoctlShutdown = _IOR('X', 125, uint32_t);

FileSystem& file_system_of(fuse_req_t request) {
  return static_cast<LibfuseTransport*>(fuse_req_userdata(request))->file_system();
}

Context context_of(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return {.uid = context->uid,
          .gid = context->gid,
          .umask = context->umask,
          .pid = context->pid};
}

// Calls `call(file_system, responder)`. This is where memory that ran out becomes ENOMEM: while the
// exception unwinds, the Responder answers.
template <class Call>
void serve(fuse_req_t request, bool is_ioctl, Call&& call) {
  FileSystem& file_system = file_system_of(request);
  auto* reply = new (std::nothrow) LibfuseReply(request, is_ioctl);
  if (reply == nullptr) {
    fuse_reply_err(request, ENOMEM);
    return;
  }
  try {
    call(file_system, Responder(reply));
  } catch (const std::bad_alloc&) {
  }
}
template <class Call>
void serve(fuse_req_t request, Call&& call) {
  serve(request, false, std::forward<Call>(call));
}

MnodeNo node(fuse_ino_t ino) { return MnodeNo(ino); }

void on_destroy(void* transport) { static_cast<LibfuseTransport*>(transport)->end(); }

void on_init(void* transport, fuse_conn_info* connection) {
  const auto* self = static_cast<const LibfuseTransport*>(transport);
  negotiate(*connection, self->strict_open(), self->writeback_cache());
}

void on_readlink(fuse_req_t request, fuse_ino_t ino) {
  serve(request,
        [&](FileSystem& to, Responder reply) { to.readlink(node(ino), std::move(reply)); });
}

void on_symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.symlink(context_of(request), target, node(parent), name, std::move(reply));
  });
}

void on_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.link(node(ino), node(parent), name, std::move(reply));
  });
}

// Nothing is held for an open file or directory, and nothing held back until a close: where the kernel does not ask, it
// keeps what it has cached, as answers to OPEN and OPENDIR would tell it to.
bool declines_open(fuse_req_t request) {
  const auto* transport = static_cast<const LibfuseTransport*>(fuse_req_userdata(request));
  if (transport->strict_open()) return false;
  fuse_reply_err(request, ENOSYS);
  return true;
}

void on_open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  if (declines_open(request)) return;
  serve(request, [&](FileSystem& to, Responder reply) {
    to.open(node(ino), static_cast<uint32_t>(info->flags), current_open_kills_set_id(),
            std::move(reply));
  });
}

void on_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  if (declines_open(request)) return;
  serve(request, [&](FileSystem& to, Responder reply) {
    to.create(context_of(request), node(parent), name, mode, static_cast<uint32_t>(info->flags),
              std::move(reply));
  });
}

void on_done(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, 0); }

void on_flush(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
  if (!declines_open(request)) fuse_reply_err(request, 0);
}

void on_opendir(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  if (declines_open(request)) return;
  serve(request,
        [&](FileSystem& to, Responder reply) { to.opendir(node(ino), std::move(reply)); });
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  serve(request, [&](FileSystem& to, Responder reply) { to.statfs(std::move(reply)); });
}

void on_setxattr(fuse_req_t request, fuse_ino_t ino, const char* name, const char* value,
                 size_t size, int flags) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.setxattr(node(ino), name, std::as_bytes(std::span(value, size)), flags,
                current_setxattr_kills_sgid(), std::move(reply));
  });
}

void on_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.listxattr(context_of(request), node(ino), size, std::move(reply));
  });
}

void on_removexattr(fuse_req_t request, fuse_ino_t ino, const char* name) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.removexattr(node(ino), name, std::move(reply));
  });
}

void on_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  fuse_file_info*) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.fallocate(context_of(request), node(ino), mode, static_cast<uint64_t>(offset),
                 static_cast<uint64_t>(length), std::move(reply));
  });
}

void on_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, fuse_file_info*) {
  // The kernel does not send what it has kept before it asks.
  if (static_cast<const LibfuseTransport*>(fuse_req_userdata(request))->writeback_cache()) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  serve(request, [&](FileSystem& to, Responder reply) {
    to.lseek(node(ino), static_cast<uint64_t>(offset), whence, std::move(reply));
  });
}

void on_copy_file_range(fuse_req_t request, fuse_ino_t source, off_t source_offset,
                        fuse_file_info*, fuse_ino_t target, off_t target_offset, fuse_file_info*,
                        size_t length, int flags) {
  serve(request, [&](FileSystem& to, Responder reply) {
    to.copy_file_range(context_of(request), node(source), static_cast<uint64_t>(source_offset),
                       node(target), static_cast<uint64_t>(target_offset), length, flags,
                       std::move(reply));
  });
}

void on_ioctl(fuse_req_t request, fuse_ino_t ino, unsigned command, void* argument,
              fuse_file_info*, unsigned, const void* input, size_t input_bytes,
              size_t output_bytes) {
  serve(request, true, [&](FileSystem& to, Responder reply) {
    if (command == kIoctlShutdown) {
      const Context context = context_of(request);
      if (context.uid != 0) return reply.error(EPERM);  // before a look into the caller's memory
      uint32_t mode = 0;
      if (!read_shutdown_mode(context.pid, argument, &mode)) return reply.error(EFAULT);
      return to.shutdown(context, static_cast<ShutdownMode>(mode), std::move(reply));
    }
    const IoctlCall call = {.command = command,
                            .input = {static_cast<const std::byte*>(input), input_bytes},
                            .output_bytes = output_bytes};
    to.ioctl(node(ino), call, std::move(reply));
  });
}

fuse_lowlevel_ops make_table() {
  fuse_lowlevel_ops table = {};
  table.init = on_init;
  table.destroy = on_destroy;
  table.readlink = on_readlink;
  table.symlink = on_symlink;
  table.link = on_link;
  table.open = on_open;
  table.create = on_create;
  table.flush = on_flush;
  table.release = on_done;
  table.opendir = on_opendir;
  table.releasedir = on_done;
  table.statfs = on_statfs;
  table.setxattr = on_setxattr;
  table.listxattr = on_listxattr;
  table.removexattr = on_removexattr;
  table.ioctl = on_ioctl;
  table.fallocate = on_fallocate;
  table.lseek = on_lseek;
  table.copy_file_range = on_copy_file_range;
  return table;
}

}  // namespace

const fuse_lowlevel_ops& libfuse_operations() {
  static const fuse_lowlevel_ops table = make_table();
  return table;
}

}  // namespace scalefs::fuse
