#include <linux/fs.h>
#include <linux/xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstring>
#include <optional>

#include "base/log.h"
#include "fuse/inquiry.h"
#include "fuse/operations.h"

namespace scalefs::fuse {
namespace {

// Flags of FS_IOC_SETFLAGS that are kept and obeyed, or that ask for what holds anyway. Others
// (immutable, append only) would be promises that the kernel does not keep for FUSE.
constexpr uint32_t kSettableFlags = FS_NODUMP_FL | FS_NOATIME_FL;

// The same flags in the words of FS_IOC_FSGETXATTR.
uint32_t to_xflags(uint32_t flags) {
  return ((flags & FS_NODUMP_FL) != 0 ? FS_XFLAG_NODUMP : 0u) |
         ((flags & FS_NOATIME_FL) != 0 ? FS_XFLAG_NOATIME : 0u);
}
// nullopt: a flag that cannot be set.
std::optional<uint32_t> from_xflags(uint32_t xflags) {
  if ((xflags & ~uint32_t{FS_XFLAG_NODUMP | FS_XFLAG_NOATIME}) != 0) return std::nullopt;
  return ((xflags & FS_XFLAG_NODUMP) != 0 ? FS_NODUMP_FL : 0u) |
         ((xflags & FS_XFLAG_NOATIME) != 0 ? FS_NOATIME_FL : 0u);
}

}  // namespace

void Operations::getattr(MnodeNo mnode, Responder reply) {
  auto attr = fs().getattr(mnode);
  if (!attr.ok()) return reply.error(attr.code());
  reply.attr(*attr);
}

void Operations::setattr(const Context& context, MnodeNo mnode, const memfs::SetAttr& change,
                         Responder reply) {
  memfs::SetAttr wanted = change;
  const bool changes_owner = wanted.uid.has_value() || wanted.gid.has_value();
  const bool empty = !changes_owner && !wanted.mode && !wanted.size && !wanted.atime_ns &&
                     !wanted.mtime_ns && !wanted.flags && (!wanted.ctime_ns || settings_.writeback_cache);
  // Under HANDLE_KILLPRIV_V2 the kernel leaves the set-id bits of a chown to us; and a bare SETATTR is
  // what is left of its own request to drop them, or of a chown to nobody, which drops them and is a change. A kernel that keeps
  // the times tells the ctime with that.
  if (changes_owner || empty) wanted.kill_suid_sgid = true;
  if (empty) {
    auto present = fs().getattr(mnode);
    if (!present.ok()) return reply.error(present.code());
    const bool may_drop = context.uid == 0 || context.uid == present->uid;
    if (!may_drop && (present->mode & (S_ISUID | S_ISGID)) != 0) return reply.attr(*present);
    wanted.ctime_ns = memfs::SetAttr::kNow;
  }
  auto attr = fs().setattr(mnode, wanted);
  if (!attr.ok()) return reply.error(attr.code());
  reply.attr(*attr);
}

void Operations::setxattr(MnodeNo mnode, std::string_view name, ConstBytes value, int flags,
                          bool kill_sgid, Responder reply) {
  memfs::XattrMode mode;
  switch (flags) {
    case 0:
      mode = memfs::XattrMode::set;
      break;
    case XATTR_CREATE:
      mode = memfs::XattrMode::create;
      break;
    case XATTR_REPLACE:
      mode = memfs::XattrMode::replace;
      break;
    case XATTR_CREATE | XATTR_REPLACE: {  // it must be there and must not: there is nothing to set
      auto present = fs().getxattr(mnode, name);
      return reply.error(present.ok() ? EEXIST : present.code());
    }
    default:
      return reply.error(EINVAL);
  }
  reply.status(fs().setxattr(mnode, name, value, mode, kill_sgid));
}

void Operations::answer_inquiry(const Context& context, std::string_view name, size_t size,
                                Responder reply) {
  if (context.uid != 0 && context.uid != settings_.owner) return reply.error(EPERM);
  const auto text = settings_.inquiry ? settings_.inquiry(name) : std::nullopt;
  if (!text) return reply.error(EOPNOTSUPP);
  if (size == 0) return reply.xattr_size(text->size());
  if (text->size() > size) return reply.error(ERANGE);
  reply.data(std::as_bytes(std::span(*text)));
}

void Operations::getxattr(const Context& context, MnodeNo mnode, std::string_view name, size_t size,
                          Responder reply) {
  if (mnode == kRootMnode && name.starts_with(kInquiryPrefix)) [[unlikely]] {
    return answer_inquiry(context, name, size, std::move(reply));
  }
  auto value = fs().getxattr(mnode, name);
  if (!value.ok()) return reply.error(value.code());
  if (size == 0) return reply.xattr_size(value->size());
  if (value->size() > size) return reply.error(ERANGE);
  reply.data(*value);
}

void Operations::listxattr(const Context& context, MnodeNo mnode, size_t size, Responder reply) {
  auto names = fs().listxattr(mnode);
  if (!names.ok()) return reply.error(names.code());
  std::string list;
  for (const std::string& name : *names) {
    if (context.uid != 0 && name.starts_with(XATTR_TRUSTED_PREFIX)) continue;
    list.append(name).push_back('\0');
  }
  if (size == 0) return reply.xattr_size(list.size());
  if (list.size() > size) return reply.error(ERANGE);
  reply.data(std::as_bytes(std::span(list)));
}

void Operations::removexattr(MnodeNo mnode, std::string_view name, Responder reply) {
  reply.status(fs().removexattr(mnode, name));
}

void Operations::statfs(Responder reply) { reply.statfs(volume_.statfs()); }

void Operations::set_flags(MnodeNo mnode, std::optional<uint32_t> flags, Responder reply) {
  if (!flags || (*flags & ~kSettableFlags) != 0) return reply.error(EOPNOTSUPP);
  memfs::SetAttr change;
  change.flags = *flags;
  auto attr = fs().setattr(mnode, change);
  if (!attr.ok()) return reply.error(attr.code());
  reply.forget_attributes(mnode);  // the ctime
  reply.data({});
}

// Both pairs are needed: the kernel itself asks with FSGETXATTR before it passes SETFLAGS on.
void Operations::ioctl(MnodeNo mnode, const IoctlCall& call, Responder reply) {
  switch (call.command) {
    case static_cast<uint32_t>(FS_IOC_GETFLAGS):
    case static_cast<uint32_t>(FS_IOC_FSGETXATTR): {
      const bool plain = call.command == static_cast<uint32_t>(FS_IOC_GETFLAGS);
      if (call.output_bytes < (plain ? sizeof(uint32_t) : sizeof(fsxattr))) {
        return reply.error(EINVAL);
      }
      auto attr = fs().getattr(mnode);
      if (!attr.ok()) return reply.error(attr.code());
      if (plain) {
        return reply.data(std::as_bytes(std::span(&attr->flags, 1)));
      }
      fsxattr extended = {};
      extended.fsx_xflags = to_xflags(attr->flags);
      return reply.data(std::as_bytes(std::span(&extended, 1)));
    }
    case static_cast<uint32_t>(FS_IOC_SETFLAGS): {
      uint32_t flags = 0;
      if (call.input.size() < sizeof(flags)) return reply.error(EINVAL);
      std::memcpy(&flags, call.input.data(), sizeof(flags));
      return set_flags(mnode, flags, std::move(reply));
    }
    case static_cast<uint32_t>(FS_IOC_FSSETXATTR): {
      fsxattr extended;
      if (call.input.size() < sizeof(extended)) return reply.error(EINVAL);
      std::memcpy(&extended, call.input.data(), sizeof(extended));
      const bool plain = extended.fsx_extsize == 0 && extended.fsx_projid == 0 &&
                         extended.fsx_cowextsize == 0;
      return set_flags(mnode, plain ? from_xflags(extended.fsx_xflags) : std::nullopt,
                       std::move(reply));
    }
    default:
      return reply.error(ENOTTY);
  }
}

void Operations::shutdown(const Context& context, ShutdownMode mode, Responder reply) {
  if (context.uid != 0) return reply.error(EPERM);
  Status status;
  switch (mode) {
    case ShutdownMode::flush_all:
    case ShutdownMode::flush_log:
      status = volume_.sync();
      break;
    case ShutdownMode::no_flush:
      break;
    default:
      return reply.error(EINVAL);
  }
  log_warning("the volume is shut down at the request of process {}", context.pid);
  volume_.shutdown();
  reply.status(status);
}

}  // namespace scalefs::fuse
