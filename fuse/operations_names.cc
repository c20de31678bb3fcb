#include <fcntl.h>
#include <linux/fs.h>

#include "fuse/operations.h"

namespace scalefs::fuse {
namespace {

memfs::Caller caller_of(const Context& context) {
  return {.uid = context.uid, .gid = context.gid, .umask = context.umask};
}

}  // namespace

Operations::Operations(volume::Volume& volume, const Settings& settings)
    : volume_(volume), settings_(settings), syncs_(volume) {}

void Operations::give_entry(const Attr& attr, Responder reply) {
  const MnodeNo mnode = attr.mnode;
  if (!reply.entry(attr)) fs().forget(mnode, 1);
}

void Operations::give_created(const Attr& attr, Responder reply) {
  const MnodeNo mnode = attr.mnode;
  if (!reply.created(attr, OpenMode{})) fs().forget(mnode, 1);
}

void Operations::answer_entry(MnodeNo parent, const Attr& attr, Responder reply) {
  if (!settings_.sync_names) return give_entry(attr, std::move(reply));
  // std::function wants to be copied, a Responder does not.
  auto parked = std::make_shared<Responder>(std::move(reply));
  volume_.fsync_async(parent, false, [this, attr, parked](Status status) {
    if (status.ok()) return give_entry(attr, std::move(*parked));
    parked->status(status);
    fs().forget(attr.mnode, 1);
  });
}

void Operations::answer_created(MnodeNo parent, const Attr& attr, Responder reply) {
  if (!settings_.sync_names) return give_created(attr, std::move(reply));
  auto parked = std::make_shared<Responder>(std::move(reply));
  volume_.fsync_async(parent, false, [this, attr, parked](Status status) {
    if (status.ok()) return give_created(attr, std::move(*parked));
    parked->status(status);
    fs().forget(attr.mnode, 1);
  });
}

void Operations::answer_changed(MnodeNo parent, const Status& status, Responder reply) {
  if (!status.ok() || !settings_.sync_names) return reply.status(status);
  auto parked = std::make_shared<Responder>(std::move(reply));
  volume_.fsync_async(parent, false, [parked](Status done) { parked->status(done); });
}

void Operations::lookup(MnodeNo parent, std::string_view name, Responder reply) {
  auto found = fs().lookup(parent, name);
  if (found.ok()) return give_entry(found->attr, std::move(reply));
  if (found.code() == ENOENT) return reply.no_entry();
  reply.error(found.code());
}

void Operations::forget(std::span<const memfs::Lookups> several) { fs().forget(several); }

void Operations::mknod(const Context& context, MnodeNo parent, std::string_view name,
                       uint32_t mode, uint64_t rdev, Responder reply) {
  auto made = fs().mknod(parent, name, mode, rdev, caller_of(context));
  if (!made.ok()) return reply.error(made.code());
  answer_entry(parent, made->attr, std::move(reply));
}

void Operations::mkdir(const Context& context, MnodeNo parent, std::string_view name,
                       uint32_t mode, Responder reply) {
  auto made = fs().mkdir(parent, name, mode, caller_of(context));
  if (!made.ok()) return reply.error(made.code());
  answer_entry(parent, made->attr, std::move(reply));
}

void Operations::symlink(const Context& context, std::string_view target, MnodeNo parent,
                         std::string_view name, Responder reply) {
  auto made = fs().symlink(parent, name, target, caller_of(context));
  if (!made.ok()) return reply.error(made.code());
  answer_entry(parent, made->attr, std::move(reply));
}

void Operations::link(MnodeNo target, MnodeNo parent, std::string_view name, Responder reply) {
  auto linked = fs().link(target, parent, name);
  if (!linked.ok()) return reply.error(linked.code());
  answer_entry(parent, linked->attr, std::move(reply));
}

void Operations::unlink(MnodeNo parent, std::string_view name, Responder reply) {
  answer_changed(parent, fs().unlink(parent, name), std::move(reply));
}

void Operations::rmdir(MnodeNo parent, std::string_view name, Responder reply) {
  answer_changed(parent, fs().rmdir(parent, name), std::move(reply));
}

void Operations::rename(const Context& context, MnodeNo source_parent,
                        std::string_view source_name, MnodeNo target_parent,
                        std::string_view target_name, uint32_t flags, Responder reply) {
  memfs::RenameMode mode;
  switch (flags) {
    case 0:
      mode = memfs::RenameMode::replace;
      break;
    case RENAME_NOREPLACE:
      mode = memfs::RenameMode::no_replace;
      break;
    case RENAME_EXCHANGE:
      mode = memfs::RenameMode::exchange;
      break;
    case RENAME_WHITEOUT:
      mode = memfs::RenameMode::whiteout;
      break;
    case RENAME_WHITEOUT | RENAME_NOREPLACE:
      mode = memfs::RenameMode::whiteout_no_replace;
      break;
    default:
      return reply.error(EINVAL);
  }
  const Status status = fs().rename(source_parent, source_name, target_parent, target_name, mode,
                                    caller_of(context));
  answer_changed(target_parent, status, std::move(reply));
}

void Operations::readlink(MnodeNo link, Responder reply) {
  auto target = fs().readlink(link);
  if (!target.ok()) return reply.error(target.code());
  reply.data(std::as_bytes(std::span(*target)));
}

void Operations::create(const Context& context, MnodeNo parent, std::string_view name,
                        uint32_t mode, uint32_t open_flags, Responder reply) {
  auto made = fs().create(parent, name, mode, (open_flags & O_EXCL) != 0, caller_of(context));
  if (!made.ok()) return reply.error(made.code());
  if ((open_flags & O_TRUNC) != 0 && made->attr.size != 0) {
    memfs::SetAttr empty;
    empty.size = 0;
    auto truncated = fs().setattr(made->attr.mnode, empty);
    if (!truncated.ok()) {
      fs().forget(made->attr.mnode, 1);
      return reply.error(truncated.code());
    }
    made->attr = *truncated;
  }
  answer_created(parent, made->attr, std::move(reply));
}

void Operations::tmpfile(const Context& context, MnodeNo parent, uint32_t mode,
                         Responder reply) {
  auto made = fs().tmpfile(parent, mode, caller_of(context));
  if (!made.ok()) return reply.error(made.code());
  give_created(made->attr, std::move(reply));
}

void Operations::opendir(MnodeNo, Responder reply) {
  // The kernel throws a listing away when it changes the directory itself, and nobody else does.
  reply.opened(OpenMode{.keep_cache = true, .cache_entries = true, .no_flush = true});
}

// An error behind entries that were packed already is told by the next call, which begins there.
void Operations::readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime,
                         Responder reply) {
  bool packed = false;
  const auto pack = [&](const memfs::DirectoryEntry& entry) {
    const bool fits = reply.pack_entry(entry, bytes);
    packed |= fits;
    return fits;
  };
  const Status status = fs().readdir(dir, cookie, pack, atime);
  if (!status.ok() && !packed) return reply.status(status);
  // Without a lookup there is nothing to take back when it does not arrive.
  (void)reply.listing();
}

void Operations::readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime,
                             Responder reply) {
  bool packed = false;
  std::vector<MnodeNo> given;
  const auto is_dot = [](std::string_view name) { return name == "." || name == ".."; };
  const auto pack = [&](const memfs::DirectoryEntry& entry, const Attr* attr) {
    const bool counts = attr != nullptr && !is_dot(entry.name);
    if (counts) given.push_back(entry.mnode);  // before packing: nothing may fail after it
    const bool fits = reply.pack_entry_plus(entry, counts ? attr : nullptr, bytes);
    if (!fits && counts) given.pop_back();
    packed |= fits;
    return fits;
  };
  const Status status = fs().readdirplus(dir, cookie, pack, atime);
  if (!status.ok() && !packed) return reply.status(status);
  if (!reply.listing()) {
    for (MnodeNo mnode : given) fs().forget(mnode, 1);
  }
}

}  // namespace scalefs::fuse
