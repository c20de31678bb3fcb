// setxattr, getxattr, listxattr, removexattr.
//
// A change holds the object's change_lock over stamp, publication and append. The sets are immutable, so
// readers take no lock. An access ACL is also permission bits: both change together, in one operation.
#include <sys/stat.h>

#include <utility>

#include "memfs/acl.h"
#include "memfs/attributes.h"
#include "memfs/resolve.h"
#include "memfs/xattrs.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && name.substr(0, prefix.size()) == prefix;
}

// The name is one that an object of this type can have; `missing`: what stands for a user attribute where
// the type has none.
Status check_xattr_name(const Mnode& mnode, std::string_view name, int missing) {
  if (name.empty() || name.size() > kXattrNameBytesMax) return Errno(ERANGE);
  if (name.find('\0') != std::string_view::npos) return Errno(EINVAL);
  if (is_acl_name(name)) return mnode.is_symlink() ? Status(Errno(EOPNOTSUPP)) : Status();
  for (const std::string_view prefix : {"user.", "trusted.", "security."}) {
    if (!has_prefix(name, prefix)) continue;
    if (name.size() == prefix.size()) return Errno(EINVAL);
    if (prefix == "user." && !mnode.is_file() && !mnode.is_directory()) return Errno(missing);
    return {};
  }
  return Errno(EOPNOTSUPP);
}

// One change, found out under change_lock: the set that will be, and what is logged of it.
struct Change {
  std::unique_ptr<XattrSet> set;  // null: stays
  std::optional<uint32_t> mode;
  std::unique_ptr<OpRecord> records[2];
};

// The new mode of an object whose access ACL becomes `acl`.
uint32_t mode_by_acl(const Mnode& mnode, const Acl& acl) {
  const uint32_t mode = mnode.mode.load(acquire);  // written under change_lock
  return (mode & ~0777u) | acl.mode_bits();
}

void record(Impl& impl, Change& change, auto op, uint64_t cost, int64_t now) {
  auto made = impl.make_record(std::move(op), cost);
  if (made == nullptr) return;
  made->ctime_ns = now;
  (change.records[0] == nullptr ? change.records[0] : change.records[1]) = std::move(made);
}

// Removes the attribute when it is there, and sets the mode when it is given.
Change removal(Impl& impl, Mnode& mnode, std::string_view name, std::optional<uint32_t> mode,
               int64_t now) {
  Change change;
  if (present_xattrs(mnode).find(name) != nullptr) {
    change.set = present_xattrs(mnode).without(name);
    record(impl, change, RemoveXattrOp{mnode.number, std::string(name)},
           kRecordCost + name.size(), now);
  }
  if (mode) {
    change.mode = mode;
    SetAttrOp op;
    op.target = mnode.number;
    op.mode = mode;
    record(impl, change, std::move(op), kRecordCost, now);
  }
  return change;
}

Change setting(Impl& impl, Mnode& mnode, std::string_view name, ConstBytes value,
               std::optional<uint32_t> mode, uint64_t cost, int64_t now) {
  Change change;
  change.set = present_xattrs(mnode).with(name, value);
  change.mode = mode;
  record(impl, change,
         SetXattrOp{mnode.number, std::string(name), XattrValue(value.begin(), value.end()), mode},
         cost, now);
  return change;
}

// Publishes and logs it; change_lock is held, room was taken.
OldXattrs apply(Impl& impl, Mnode& mnode, Change change, int64_t now) {
  SetAttrOp attributes;
  attributes.mode = change.mode;
  LogSlot slot(impl);
  // Without a mode it is a change of the set and the ctime alone, which meets others under change_lock and
  // nowhere else: their stamps are there, and the lines of the attributes stay unwritten.
  const Stamp stamp = slot.stamp(change.mode ? impl.deltas.read(mnode).stamp
                                             : std::max(mnode.stamp.load(acquire), mnode.change_stamp));
  mnode.change_stamp = stamp;
  OldXattrs old;
  if (change.set != nullptr) old = publish_xattrs(mnode, std::move(change.set));
  if (!change.mode)
    impl.deltas.add(mnode, {.ctime_ns = now, .stamp = stamp});
  else
    publish_attributes(mnode, attributes, now, stamp);
  for (auto& one : change.records)
    if (one != nullptr) slot.append(std::move(one));
  return old;
}

Status set_acl(Impl& impl, Mnode& mnode, std::string_view name, ConstBytes value) {
  SCALEFS_TRY(const Acl acl, Acl::parse(value));
  const bool access = name == kAccessAclName;
  if (!access && !mnode.is_directory()) return acl.empty() ? Status() : Status(Errno(EACCES));
  const uint64_t cost = kRecordCost + name.size() + value.size();
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost + kRecordCost,
                              .tree_places = xattr_places(value.size()) + kAttributePlaces}));
  const int64_t now = impl.now_ns();
  OldXattrs old;
  MutexLock lock(mnode.change_lock);
  std::optional<uint32_t> mode;
  if (access && !acl.empty()) mode = mode_by_acl(mnode, acl);
  Change change;
  if (acl.empty() || (access && acl.is_minimal())) {
    change = removal(impl, mnode, name, mode, now);
    if (change.set == nullptr && !change.mode) return {};
  } else {
    change = setting(impl, mnode, name, acl.bytes(), mode, cost, now);
  }
  Need used;
  for (const auto& one : change.records) {
    if (one != nullptr) used.log_bytes += one->cost_bytes;
  }
  old = apply(impl, mnode, std::move(change), now);
  room.keep(used);
  return {};
}

}  // namespace

Status MemFs::setxattr(MnodeNo number, std::string_view name, ConstBytes value, XattrMode mode) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, EPERM));
  if (value.size() > kXattrValueBytesMax) return Errno(E2BIG);
  SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  if (is_acl_name(name)) return set_acl(impl, *mnode, name, value);
  const uint64_t cost = kRecordCost + name.size() + value.size();
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost, .tree_places = xattr_places(value.size())}));
  const int64_t now = impl.now_ns();
  OldXattrs old;
  MutexLock lock(mnode->change_lock);
  const bool present = present_xattrs(*mnode).find(name) != nullptr;
  if (mode == XattrMode::create && present) return Errno(EEXIST);
  if (mode == XattrMode::replace && !present) return Errno(ENODATA);
  old = apply(impl, *mnode, setting(impl, *mnode, name, value, std::nullopt, cost, now), now);
  room.keep();
  return {};
}

Result<std::vector<std::byte>> MemFs::getxattr(MnodeNo number, std::string_view name) {
  SCALEFS_TRY(const Pin mnode, Pin::of(*impl_, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, ENODATA));
  SCALEFS_TRY_VOID(load_xattrs(*impl_, *mnode));
  EpochGuard guard;
  const XattrValue* value = present_xattrs(*mnode).find(name);
  if (value == nullptr) return Errno(ENODATA);
  return *value;
}

Result<std::vector<std::string>> MemFs::listxattr(MnodeNo number) {
  SCALEFS_TRY(const Pin mnode, Pin::of(*impl_, number));
  SCALEFS_TRY_VOID(load_xattrs(*impl_, *mnode));
  EpochGuard guard;
  return present_xattrs(*mnode).names();
}

Status MemFs::removexattr(MnodeNo number, std::string_view name) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, EPERM));
  SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  if (is_acl_name(name)) return set_acl(impl, *mnode, name, {});
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take(
      {.log_bytes = kRecordCost + name.size(), .tree_places = xattr_places(0), .always = true}));
  const int64_t now = impl.now_ns();
  OldXattrs old;
  MutexLock lock(mnode->change_lock);
  Change change = removal(impl, *mnode, name, std::nullopt, now);
  if (change.set == nullptr) return Errno(ENODATA);
  old = apply(impl, *mnode, std::move(change), now);
  room.keep();
  return {};
}

}  // namespace scalefs::memfs
