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

// Which locks a change takes: an explicit time is ordered with others and with records of data, everything else
// with changes of the mode and the owner. What sets the ctime alone needs no lock.
struct Kind {
  bool times;
  bool mode;
};
Kind kind_of(const SetAttr& change) {
  return {change.atime_ns || change.mtime_ns,
          change.mode || change.uid || change.gid || change.flags || change.kill_suid_sgid};
}
Kind kind_of(const SetAttrOp& op) {
  return {op.atime_ns || op.mtime_ns, op.mode || op.uid || op.gid || op.flags};
}

// The locks of a change, in their order.
class ChangeLocks {
 public:
  ChangeLocks(Mnode& mnode, Kind kind) NO_THREAD_SAFETY_ANALYSIS : mnode_(mnode), kind_(kind) {
    if (kind.times) mnode.change_lock.lock();
    if (kind.mode) mnode.mode_lock.lock();
  }
  ~ChangeLocks() NO_THREAD_SAFETY_ANALYSIS {
    if (kind_.mode) mnode_.mode_lock.unlock();
    if (kind_.times) mnode_.change_lock.unlock();
  }
  ChangeLocks(const ChangeLocks&) = delete;
  ChangeLocks& operator=(const ChangeLocks&) = delete;

 private:
  Mnode& mnode_;
  const Kind kind_;
};

// The stamps that an operation which holds these locks comes after. An mtime begins a new age: all that was counted
// before is older.
Stamp last_stamp(Impl& impl, const Mnode& mnode, Kind kind) {
  Stamp last = mnode.stamp.load(acquire);
  if (kind.mode) last = std::max(last, mnode.mode_stamp.load(relaxed));
  if (kind.times) last = std::max({last, mnode.change_stamp, impl.deltas.read_data(mnode).stamp});
  return last;
}

// Explicit times, and the ctime. change_lock is held.
void publish_times(Impl& impl, Mnode& mnode, const SetAttrOp& op, int64_t ctime_ns, Stamp stamp) {
  if (op.atime_ns) impl.deltas.clear_atimes(mnode);
  AttrWrite write(mnode);
  if (op.atime_ns) {
    mnode.base_atime_ns.store(*op.atime_ns, release);
    mnode.atime_ahead.store(*op.atime_ns > ctime_ns, release);
  }
  if (mnode.base_ctime_ns.load(relaxed) < ctime_ns) mnode.base_ctime_ns.store(ctime_ns, release);
  mnode.change_stamp = stamp;
  if (!op.mtime_ns) return;
  // Else an operation with a larger stamp was quicker, and its delta has been folded already.
  if (mnode.base_mtime_stamp < stamp) {
    mnode.base_mtime_ns.store(*op.mtime_ns, release);
    mnode.mtime_ahead.store(*op.mtime_ns > ctime_ns, release);
  }
  mnode.mtime_set_stamp.store(stamp, release);
}

// Everything that `op` says, and the ctime, at one moment. The locks of its kind are held.
void publish(Impl& impl, Mnode& mnode, const SetAttrOp& op, int64_t ctime_ns, Stamp stamp) {
  const Kind kind = kind_of(op);
  std::optional<ModeWrite> write;
  if (kind.mode) {
    write.emplace(mnode, stamp);
    publish_mode(mnode, op);
  }
  if (kind.times) {
    publish_times(impl, mnode, op, ctime_ns, stamp);
  } else {
    impl.deltas.add(mnode, {.ctime_ns = ctime_ns, .stamp = stamp});
  }
}

std::unique_ptr<OpRecord> attribute_record(Impl& impl, const SetAttrOp& op, int64_t ctime_ns) {
  auto record = impl.make_record(op, kRecordCost);
  if (record != nullptr) record->ctime_ns = ctime_ns;
  return record;
}

// The access ACL as chmod leaves it; null when there is none. mode_lock is held, where the mode changes.
Result<std::optional<Acl>> acl_after_chmod(const Mnode& mnode, const SetAttrOp& op) {
  if (!op.mode) return std::optional<Acl>();
  const StoredXattr* present = present_acl(mnode, kAccessAclName);
  if (present == nullptr) return std::optional<Acl>();
  SCALEFS_TRY(Acl acl, Acl::parse(present->bytes()));
  if (acl.empty()) return std::optional<Acl>();
  acl.set_mode_bits(*op.mode);
  return std::optional<Acl>(std::move(acl));
}

// The mode, owner, times and flags of `change`, as they will be. The locks of its kind are held.
SetAttrOp resolve_change(const Mnode& mnode, const SetAttr& change, int64_t now) {
  SetAttrOp op;
  op.target = mnode.number;
  const uint32_t mode = mnode.mode.load(relaxed);  // not used without mode_lock
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
  const Kind kind = kind_of(change);
  const ChangeLocks locks(mnode, kind);
  const SetAttrOp op = resolve_change(mnode, change, now);
  SCALEFS_TRY(const std::optional<Acl> acl, acl_after_chmod(mnode, op));
  if (acl && !room_for_acl) return false;
  if (!acl) {
    auto record = attribute_record(impl, op, ctime);
    LogSlot slot(impl);
    const Stamp stamp = slot.stamp(last_stamp(impl, mnode, kind));
    publish(impl, mnode, op, ctime, stamp);
    slot.append(std::move(record));
    room.keep({.log_bytes = kRecordCost});
    return true;
  }
  const XattrValue value = acl->bytes();
  Atomic<const XattrSet*>& acls = present_xattrs(mnode)->acls();
  auto set = xattrs_with(acls, kAccessAclName, value);
  const uint64_t cost = kRecordCost + kAccessAclName.size() + value.size();
  auto first = impl.make_record(
      SetXattrOp{mnode.number, std::string(kAccessAclName), value, op.mode}, cost);
  if (first != nullptr) first->ctime_ns = ctime;
  SetAttrOp rest = op;
  rest.mode.reset();
  const bool more = op.uid || op.gid || op.flags || op.atime_ns || op.mtime_ns;
  auto second = more ? attribute_record(impl, rest, ctime) : nullptr;
  LogSlot slot(impl);
  const Stamp stamp = slot.stamp(last_stamp(impl, mnode, kind));
  old = publish_xattrs(acls, std::move(set));
  publish(impl, mnode, op, ctime, stamp);
  slot.append(std::move(first));
  if (more) slot.append(std::move(second));
  room.keep({.log_bytes = cost + (more ? kRecordCost : 0)});
  return true;
}

}  // namespace

void publish_mode(Mnode& mnode, const SetAttrOp& op) {
  if (op.mode) {
    const bool set_id = without_set_id(*op.mode) != *op.mode;
    if (set_id && !mnode.set_id.load(relaxed)) mnode.set_id.store(true, release);
    mnode.mode.store(*op.mode, release);
    if (!set_id && mnode.set_id.load(relaxed)) mnode.set_id.store(false, release);
  }
  if (op.uid) mnode.uid.store(*op.uid, release);
  if (op.gid) mnode.gid.store(*op.gid, release);
  if (op.flags) mnode.flags.store(*op.flags, release);
}

namespace {

Attr attributes_of(const Mnode& mnode, const MetaSums& sums) {
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

}  // namespace

Attr MemFs::Impl::attributes(const Mnode& mnode) const {
  return attributes_of(mnode, deltas.read(mnode));
}

Attr MemFs::Impl::answer(const Mnode& mnode, int64_t ctime_ns) const {
  Attr attr = attributes_of(mnode, deltas.read_answer(mnode));
  attr.ctime_ns = std::max(attr.ctime_ns, ctime_ns);
  return attr;
}

// The thread may have come to another core since it gave the times.
Attr MemFs::Impl::answer_own(const Mnode& mnode, int64_t now_ns) const {
  Attr attr = attributes_of(mnode, deltas.read_own(mnode));
  attr.mtime_ns = std::max(attr.mtime_ns, now_ns);
  attr.ctime_ns = std::max(attr.ctime_ns, now_ns);
  return attr;
}

void MemFs::Impl::touch_atime(Mnode& mnode) {
  if (options.noatime || (options.nodiratime && mnode.is_directory())) return;
  const int64_t now = wall_coarse_ns();
  if (deltas.atime_stands(mnode, now, options.relatime ? kRelatimeNs : 0)) return;
  deltas.set_atime(mnode, now, logging());
}

Status MemFs::Impl::kill_set_id(Mnode& mnode) {
  // Acquire: pairs with publish_mode. Nearly always there is nothing to do.
  if (!mnode.set_id.load(acquire)) return {};
  SetAttr change;
  change.kill_suid_sgid = true;
  Reservation room(*this);
  SCALEFS_TRY_VOID(room.take({.log_bytes = kRecordCost, .tree_places = kAttributePlaces}));
  const int64_t now = wall_coarse_ns();
  SleepLock lock(mnode.mode_lock);
  const SetAttrOp op = resolve_change(mnode, change, now);
  if (!op.mode) return {};
  auto record = attribute_record(*this, op, now);
  LogSlot slot(*this);
  const Stamp stamp = slot.stamp(last_stamp(*this, mnode, kind_of(op)));
  publish(*this, mnode, op, now, stamp);
  slot.append(std::move(record));
  room.keep();
  return {};
}

namespace {

// With one return, so that the answer is built in the caller's place.
Result<Attr> attributes_with_holes(const Impl& impl, const Mnode& mnode) {
  Result<Attr> attr(std::in_place, [&] { return impl.attributes(mnode); });
  if (FileNode* file = mnode.is_file() ? mnode.file.peek() : nullptr) file->note_holes(attr->size);
  return attr;
}

}  // namespace

Result<Attr> MemFs::getattr(MnodeNo number) {
  EpochGuard guard;
  const Mnode* mnode = impl_->find(number);
  if (mnode == nullptr) return Errno(ESTALE);
  return attributes_with_holes(*impl_, *mnode);
}

Result<Attr> MemFs::setattr(MnodeNo number, const SetAttr& change) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  const int64_t now = wall_coarse_ns();
  if (change.size) {
    if (mnode->is_directory()) return Errno(EISDIR);
    if (!mnode->is_file()) return Errno(EINVAL);
    SCALEFS_TRY_VOID(FileNode::truncate(impl, *mnode, *change.size, now));
  }
  const bool explicit_change = change.mode || change.uid || change.gid || change.flags ||
                               change.atime_ns || change.mtime_ns || change.ctime_ns;
  // Acquire: pairs with publish_mode.
  if (!explicit_change && !(change.kill_suid_sgid && mnode->set_id.load(acquire)))
    return change.size ? impl.answer_own(*mnode, now) : impl.attributes(*mnode);

  if (change.mode) SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  const int64_t ctime =
      std::max(now, change.ctime_ns && *change.ctime_ns != SetAttr::kNow ? *change.ctime_ns : now);
  bool room_for_acl = false;
  if (change.mode) {
    EpochGuard guard;
    room_for_acl = present_acl(*mnode, kAccessAclName) != nullptr;
  }
  for (;; room_for_acl = true) {
    SCALEFS_TRY(const bool done,
                change_explicitly(impl, *mnode, change, now, ctime, room_for_acl));
    if (done) break;
  }
  return impl.answer(*mnode, ctime);
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
