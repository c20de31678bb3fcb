// getattr, setattr, access times, symlink targets.
#include <sys/stat.h>

#include <algorithm>

#include "base/aligned_buffer.h"
#include "memfs/acl.h"
#include "memfs/attributes.h"
#include "memfs/file_node.h"
#include "memfs/impl.h"
#include "memfs/resolve.h"
#include "memfs/xattrs.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

constexpr uint64_t kDirectoryBytes = kBlockBytes;  // what stat shows of any directory
constexpr int64_t kRelatimeNs = int64_t{24} * 3600 * 1'000'000'000;

// As Linux does when data or the owner changes: the set-group-id bit of a file that its group may not
// execute is no privilege.
uint32_t without_set_id(uint32_t mode) {
  mode &= ~static_cast<uint32_t>(S_ISUID);
  if (mode & S_IXGRP) mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

// What is folded here is older than the stamp to come, and so than an mtime that `op` sets.
void before_stamp(Impl& impl, Mnode& mnode, const SetAttrOp& op) {
  if (op.mtime_ns) impl.deltas.fold(mnode);
}

// Logs and publishes `op`. The object's change_lock is held, room was reserved.
void change_attributes(Impl& impl, Mnode& mnode, const SetAttrOp& op, int64_t ctime_ns,
                       std::unique_ptr<OpRecord> record) {
  before_stamp(impl, mnode, op);
  LogSlot slot(impl);
  const Stamp stamp = slot.stamp(impl.deltas.read(mnode).stamp);
  publish_attributes(mnode, op, ctime_ns, stamp);
  slot.append(std::move(record));
}

std::unique_ptr<OpRecord> attribute_record(Impl& impl, const SetAttrOp& op, int64_t ctime_ns) {
  auto record = impl.make_record(op, kRecordCost);
  if (record != nullptr) record->ctime_ns = ctime_ns;
  return record;
}

// The access ACL as chmod leaves it; null when there is none. change_lock is held.
Result<std::optional<Acl>> acl_after_chmod(const Mnode& mnode, const SetAttrOp& op) {
  const XattrValue* present = present_xattrs(mnode).find(kAccessAclName);
  if (present == nullptr || !op.mode) return std::optional<Acl>();
  SCALEFS_TRY(Acl acl, Acl::parse(*present));
  if (acl.empty()) return std::optional<Acl>();
  acl.set_mode_bits(*op.mode);
  return std::optional<Acl>(std::move(acl));
}

// The mode, owner, times and flags of `change`, as they will be. change_lock is held.
SetAttrOp resolve_change(const Mnode& mnode, const SetAttr& change, int64_t now) {
  SetAttrOp op;
  op.target = mnode.number;
  const uint32_t mode = mnode.mode.load(acquire);  // written under change_lock
  uint32_t wanted = mode;
  if (change.mode) wanted = (mode & S_IFMT) | (*change.mode & 07777);
  const bool owner = change.uid || change.gid;
  if (!S_ISDIR(mode) && ((owner && !change.mode) || change.kill_suid_sgid))
    wanted = without_set_id(wanted);
  if (change.mode || wanted != mode) op.mode = wanted;
  op.uid = change.uid;
  op.gid = change.gid;
  op.flags = change.flags;
  const auto time = [now](std::optional<int64_t> t) {
    return t && *t == SetAttr::kNow ? std::optional<int64_t>(now) : t;
  };
  op.atime_ns = time(change.atime_ns);
  op.mtime_ns = time(change.mtime_ns);
  return op;
}

// setattr without the size. Where there is an access ACL, chmod is a change of it too and the record says
// both; other attributes of the same call then follow in a record with the same stamp.
// False: there is an ACL and no room was taken for it.
Result<bool> change_explicitly(Impl& impl, Mnode& mnode, const SetAttr& change, int64_t now,
                               int64_t ctime, bool room_for_acl) {
  // No ACL is longer than a value may be; what is not needed goes back.
  Reservation room(impl);
  const uint64_t acl_cost = room_for_acl ? kRecordCost + kXattrValueBytesMax : 0;
  const uint32_t places = kAttributePlaces + (room_for_acl ? xattr_places(kXattrValueBytesMax) : 0);
  SCALEFS_TRY_VOID(room.take({.log_bytes = kRecordCost + acl_cost, .tree_places = places}));
  OldXattrs old;
  MutexLock lock(mnode.change_lock);
  const SetAttrOp op = resolve_change(mnode, change, now);
  SCALEFS_TRY(const std::optional<Acl> acl, acl_after_chmod(mnode, op));
  if (acl && !room_for_acl) return false;
  if (!acl) {
    change_attributes(impl, mnode, op, ctime, attribute_record(impl, op, ctime));
    room.keep({.log_bytes = kRecordCost});
    return true;
  }
  const XattrValue value = acl->bytes();
  auto set = present_xattrs(mnode).with(kAccessAclName, value);
  const uint64_t cost = kRecordCost + kAccessAclName.size() + value.size();
  auto first = impl.make_record(
      SetXattrOp{mnode.number, std::string(kAccessAclName), value, op.mode}, cost);
  if (first != nullptr) first->ctime_ns = ctime;
  SetAttrOp rest = op;
  rest.mode.reset();
  const bool more = op.uid || op.gid || op.flags || op.atime_ns || op.mtime_ns;
  auto second = more ? attribute_record(impl, rest, ctime) : nullptr;
  before_stamp(impl, mnode, op);
  LogSlot slot(impl);
  const Stamp stamp = slot.stamp(impl.deltas.read(mnode).stamp);
  old = publish_xattrs(mnode, std::move(set));
  publish_attributes(mnode, op, ctime, stamp);
  slot.append(std::move(first));
  if (more) slot.append(std::move(second));
  room.keep({.log_bytes = cost + (more ? kRecordCost : 0)});
  return true;
}

}  // namespace

void publish_attributes(Mnode& mnode, const SetAttrOp& op, int64_t ctime_ns, Stamp stamp) {
  AttrWrite write(mnode);
  if (op.mode) mnode.mode.store(*op.mode, release);
  if (op.uid) mnode.uid.store(*op.uid, release);
  if (op.gid) mnode.gid.store(*op.gid, release);
  if (op.flags) mnode.flags.store(*op.flags, release);
  if (op.atime_ns) mnode.atime_ns.store(*op.atime_ns, release);
  if (mnode.base_ctime_ns.load(relaxed) < ctime_ns) mnode.base_ctime_ns.store(ctime_ns, release);
  if (op.mtime_ns) {
    // Else an operation with a larger stamp was quicker, and its delta has been folded already.
    if (mnode.base_mtime_stamp < stamp) {
      mnode.base_mtime_ns.store(*op.mtime_ns, release);
      mnode.mtime_ahead.store(*op.mtime_ns > mnode.base_ctime_ns.load(relaxed), release);
    }
    mnode.mtime_set_stamp.store(stamp, release);
  }
  mnode.stamp.store(stamp, release);
}

Attr MemFs::Impl::attributes(const Mnode& mnode) const {
  const MetaSums sums = deltas.read(mnode);
  Attr attr;
  attr.mnode = mnode.number;
  attr.mode = sums.mode;
  attr.flags = sums.flags;
  attr.uid = sums.uid;
  attr.gid = sums.gid;
  attr.nlink = sums.nlink > 0 ? static_cast<uint32_t>(sums.nlink) : 0;
  attr.generation = mnode.generation;
  attr.rdev = mnode.rdev;
  attr.atime_ns = sums.atime_ns;
  attr.mtime_ns = sums.mtime_ns;
  attr.ctime_ns = sums.ctime_ns;
  attr.btime_ns = mnode.btime_ns;
  if (mnode.is_file()) {
    attr.size = mnode.file.size();
    attr.blocks = mnode.file.blocks_512();
  } else if (mnode.is_directory()) {
    attr.size = kDirectoryBytes;
    attr.blocks = kDirectoryBytes / 512;
  } else {
    attr.size = mnode.symlink_bytes();
  }
  return attr;
}

void MemFs::Impl::touch_atime(Mnode& mnode) {
  if (options.noatime) return;
  const int64_t now = now_ns();
  // Before the sums: those read lines that writers of other pages write.
  if (mnode.atime_ns.load(acquire) == now) return;  // pairs with AttrWrite
  const MetaSums sums = deltas.read(mnode);
  if (options.relatime && sums.atime_ns > sums.mtime_ns && sums.atime_ns > sums.ctime_ns &&
      now - sums.atime_ns < kRelatimeNs)
    return;
  {
    AttrWrite write(mnode);
    mnode.atime_ns.store(now, release);
  }
  mark_times_dirty(mnode);
}

Status MemFs::Impl::kill_set_id(Mnode& mnode) {
  // Acquire: pairs with AttrWrite. Nearly always there is nothing to do.
  const uint32_t seen = mnode.mode.load(acquire);
  if (without_set_id(seen) == seen) return {};
  Reservation room(*this);
  SCALEFS_TRY_VOID(room.take({.log_bytes = kRecordCost, .tree_places = kAttributePlaces}));
  const int64_t now = now_ns();
  MutexLock lock(mnode.change_lock);
  SetAttr change;
  change.kill_suid_sgid = true;
  const SetAttrOp op = resolve_change(mnode, change, now);
  if (!op.mode) return {};
  change_attributes(*this, mnode, op, now, attribute_record(*this, op, now));
  room.keep();
  return {};
}

Result<Attr> MemFs::getattr(MnodeNo number) {
  EpochGuard guard;
  const Mnode* mnode = impl_->find(number);
  if (mnode == nullptr) return Errno(ESTALE);
  return impl_->attributes(*mnode);
}

Result<Attr> MemFs::setattr(MnodeNo number, const SetAttr& change) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  const int64_t now = impl.now_ns();
  if (change.size) {
    if (mnode->is_directory()) return Errno(EISDIR);
    if (!mnode->is_file()) return Errno(EINVAL);
    SCALEFS_TRY_VOID(FileNode::truncate(impl, *mnode, *change.size, now));
  }
  const bool explicit_change = change.mode || change.uid || change.gid || change.flags ||
                               change.atime_ns || change.mtime_ns || change.ctime_ns;
  const uint32_t mode = mnode->mode.load(acquire);  // pairs with AttrWrite
  if (!explicit_change && !(change.kill_suid_sgid && without_set_id(mode) != mode))
    return impl.attributes(*mnode);

  if (change.mode) SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  const int64_t ctime =
      std::max(now, change.ctime_ns && *change.ctime_ns != SetAttr::kNow ? *change.ctime_ns : now);
  bool room_for_acl = change.mode && mnode->xattrs.load(acquire) != nullptr;
  for (;; room_for_acl = true) {
    SCALEFS_TRY(const bool done,
                change_explicitly(impl, *mnode, change, now, ctime, room_for_acl));
    if (done) break;
  }
  return impl.attributes(*mnode);
}

namespace {

// The target of a symlink that stands in the checkpoint: its only page.
Result<std::string> load_target(Impl& impl, const Mnode& link) {
  if (impl.backend == nullptr) return Errno(EUCLEAN);
  const size_t size = link.symlink_bytes();
  if (size == 0 || size > kSymlinkBytesMax) return Errno(EUCLEAN);
  const auto pin = impl.backend->pin_reads();
  SCALEFS_TRY(const auto pages, impl.backend->load_mapping(link.number, 0, 1));
  if (pages.size() != 1) return Errno(EUCLEAN);
  const LoadedPage& page = pages[0];
  if (page.kind == LoadedPage::Kind::bytes) {
    if (page.bytes.size() < size) return Errno(EUCLEAN);
    return std::string(reinterpret_cast<const char*>(page.bytes.data()), size);
  }
  if (page.kind != LoadedPage::Kind::block) return Errno(EUCLEAN);
  AlignedBuffer buffer(kBlockBytes);
  const uint32_t crcs[] = {page.crc};
  SCALEFS_TRY_VOID(impl.backend->read_blocks(page.block, crcs, buffer.span()));
  return std::string(reinterpret_cast<const char*>(buffer.data()), size);
}

}  // namespace

Result<std::string> MemFs::readlink(MnodeNo number) {
  SCALEFS_TRY(const Pin link, Pin::of(*impl_, number));
  if (!link->is_symlink()) return Errno(EINVAL);
  impl_->touch_atime(*link);
  // Acquire: pairs with the exchange below.
  if (const std::string* target = link->target.load(acquire)) return *target;
  SCALEFS_TRY(std::string loaded, load_target(*impl_, *link));
  auto fresh = std::make_unique<const std::string>(loaded);
  const std::string* none = nullptr;
  // Never changes again, so whoever was first is right.
  if (link->target.compare_exchange(none, fresh.get(), acq_rel, acquire)) (void)fresh.release();
  return loaded;
}

}  // namespace scalefs::memfs
