// A case's calls, made once by the core that will make them, so that nothing but times is changed.
#include <sys/stat.h>

#include "base/check.h"
#include "tests/commute/matrix/rig.h"

namespace scalefs::matrix {

void Rig::rehearse(int core, const Call& call) {
  switch (call.op) {
    case Op::getattr:
    case Op::readlink:
    case Op::read:
    case Op::seek:
    case Op::readdir:
    case Op::statfs:
    case Op::getxattr:
    case Op::listxattr: (void)run_plain(call, '?'); return;
    case Op::lookup:
    case Op::forget: return;  // touch() has looked up what stands in the slots
    case Op::create:
    case Op::create_exclusive:
    case Op::mkdir:
    case Op::mknod:
    case Op::symlink:
    case Op::link:
    case Op::unlink:
    case Op::rmdir:
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: return rehearse_name(core, call);
    case Op::chmod:
    case Op::chown:
    case Op::utimes:
    case Op::truncate:
    case Op::setxattr:
    case Op::removexattr: return rehearse_attributes(call);
    case Op::write:
    case Op::write_extend:
    case Op::append:
    case Op::copy_range:
    case Op::allocate:
    case Op::punch: return rehearse_data(call);
    case Op::count: return;
  }
}

// With names of the core's own, in the directories of the call.
void Rig::rehearse_name(int core, const Call& call) {
  auto& fs = volume_->fs();
  const std::string& name = names_[3 + static_cast<size_t>(core)];
  const std::string& other = names_[5 + static_cast<size_t>(core)];
  const MnodeNo from = dir(call.slot.dir);
  const MnodeNo to = dir(call.to.dir);
  const auto forget = [&](const Result<memfs::Entry>& made) {
    SCALEFS_CHECK(made.ok());
    fs.forget(made->attr.mnode, 1);
  };
  const auto unlink = [&](MnodeNo at, const std::string& what) {
    SCALEFS_CHECK(fs.unlink(at, what).ok());
  };
  switch (call.op) {
    case Op::mkdir:
    case Op::rmdir:
      forget(fs.mkdir(from, name, 0755, {}));
      SCALEFS_CHECK(fs.rmdir(from, name).ok());
      return;
    case Op::symlink:
      forget(fs.symlink(from, name, "target", {}));
      return unlink(from, name);
    case Op::rename:
    case Op::rename_noreplace:
    case Op::rename_exchange: {
      forget(fs.create(from, name, 0644, true, {}));
      const bool exchange = call.op == Op::rename_exchange;
      if (exchange) forget(fs.create(to, other, 0644, true, {}));
      const auto mode = exchange ? memfs::RenameMode::exchange
                        : call.op == Op::rename ? memfs::RenameMode::replace
                                                : memfs::RenameMode::no_replace;
      SCALEFS_CHECK(fs.rename(from, name, to, other, mode, {}).ok());
      if (exchange) unlink(from, name);
      unlink(to, other);
      return rehearse_change_in_place(core, call);
    }
    case Op::create:
    case Op::create_exclusive:
      forget(fs.create(from, name, 0644, call.op == Op::create_exclusive, {}));
      return unlink(from, name);
    default: return;  // touch() has made and removed a node and a link
  }
}

// The names that the call gives another meaning get one, and have their own again.
void Rig::rehearse_change_in_place(int core, const Call& call) {
  auto& fs = volume_->fs();
  const std::string& name = names_[3 + static_cast<size_t>(core)];
  auto made = fs.create(private_dir_[core], name, 0644, true, {});
  SCALEFS_CHECK(made.ok());
  fs.forget(made->attr.mnode, 1);
  const auto exchange = [&](const Slot& slot) {
    return fs.rename(private_dir_[core], name, dir(slot.dir), name_of(slot), memfs::RenameMode::exchange, {});
  };
  if (exchange(call.to).ok()) SCALEFS_CHECK(exchange(call.to).ok());
  if (call.op == Op::rename_exchange && exchange(call.slot).ok())
    SCALEFS_CHECK(exchange(call.slot).ok());
  SCALEFS_CHECK(fs.unlink(private_dir_[core], name).ok());
}

// What is there is set again.
void Rig::rehearse_attributes(const Call& call) {
  auto& fs = volume_->fs();
  const MnodeNo object = labels_.at(call.object);
  const auto attr = fs.getattr(object);
  SCALEFS_CHECK(attr.ok());
  memfs::SetAttr change;
  if (call.op == Op::chmod) change.mode = attr->mode & 07777;
  if (call.op == Op::chown) {
    change.uid = attr->uid;
    change.gid = attr->gid;
  }
  if (call.op == Op::utimes) {
    change.atime_ns = attr->atime_ns;
    change.mtime_ns = attr->mtime_ns;
  }
  if (call.op == Op::truncate) {
    if (!S_ISREG(attr->mode)) return;
    change.size = attr->size;
  }
  if (call.op != Op::setxattr && call.op != Op::removexattr) {
    SCALEFS_CHECK(fs.setattr(object, change).ok());
    return;
  }
  const std::string name = "user." + std::to_string(call.value);
  const auto present = fs.getxattr(object, name);
  const std::vector<std::byte> value = present.ok() ? *present : std::vector<std::byte>(1);
  if (!present.ok() && call.op == Op::removexattr) {
    (void)fs.removexattr(object, name);
    return;
  }
  if (call.op == Op::removexattr) SCALEFS_CHECK(fs.removexattr(object, name).ok());
  SCALEFS_CHECK(fs.setxattr(object, name, value, memfs::XattrMode::set).ok());
  if (!present.ok()) SCALEFS_CHECK(fs.removexattr(object, name).ok());
}

bool Rig::is_mapped(MnodeNo file, uint64_t offset, uint64_t length) {
  auto& fs = volume_->fs();
  const auto attr = fs.getattr(file);
  SCALEFS_CHECK(attr.ok());
  if (!S_ISREG(attr->mode) || length == 0 || offset + length > attr->size) return false;
  const auto hole = fs.seek(file, offset, memfs::SeekMode::hole);
  return hole.ok() && *hole >= offset + length;
}

// For rewrite(), whose core shall not have read the file.
void Rig::keep_content(const Call& call) {
  if (call.op != Op::write && call.op != Op::copy_range) return;
  const MnodeNo file = labels_.at(call.op == Op::write ? call.object : call.other);
  std::vector<std::byte>& bytes = content_[file.v];
  const auto attr = volume_->fs().getattr(file);
  SCALEFS_CHECK(attr.ok());
  if (!S_ISREG(attr->mode)) return;
  bytes.resize(attr->size);
  const auto got = volume_->fs().read(file, 0, bytes);
  SCALEFS_CHECK(got.ok() && *got == bytes.size());
}

void Rig::rewrite(MnodeNo file, uint64_t offset, uint64_t length) {
  if (!is_mapped(file, offset, length)) return;
  const auto bytes = ConstBytes(content_.at(file.v)).subspan(offset, length);
  const auto written = volume_->fs().write(file, offset, bytes);
  SCALEFS_CHECK(written.ok() && *written == length);
}

// Where there is data already; a hole is punched where there is a hole.
void Rig::rehearse_data(const Call& call) {
  auto& fs = volume_->fs();
  const MnodeNo object = labels_.at(call.object);
  switch (call.op) {
    case Op::write: return rewrite(object, call.offset, call.length);
    case Op::copy_range: {
      std::vector<std::byte> bytes(call.length);
      (void)fs.read(object, call.offset, bytes);
      return rewrite(labels_.at(call.other), call.target, call.length);
    }
    case Op::allocate:
      if (is_mapped(object, call.offset, call.length)) (void)run_plain(call, '?');
      return;
    case Op::punch: {
      const auto attr = fs.getattr(object);
      SCALEFS_CHECK(attr.ok());
      const auto data = fs.seek(object, call.offset, memfs::SeekMode::data);
      const bool hole = call.offset + call.length <= attr->size &&
                        (!data.ok() || *data >= call.offset + call.length);
      if (hole) (void)run_plain(call, '?');
      return;
    }
    default: return;  // no call of the kind leaves the file as it is
  }
}

}  // namespace scalefs::matrix
