// setxattr, getxattr, listxattr, removexattr.
//
// A change holds its bucket's lock over stamp, publication and append (xattr_table.h); sets and values are immutable, so
// readers take no lock. An access ACL is also permission bits: both change together, in one operation under mode_lock, and so
// do default ACLs.
//
// A call looks without a lock first: one that fails writes nothing that others read, and one that sets the value that
// is there changes the ctime alone. Its record says so and does not name the value: another call may change it
// meanwhile, and memory and the log must agree on who was last. It is stamped after the operation whose value it saw.
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "memfs/acl.h"
#include "memfs/attributes.h"
#include "memfs/resolve.h"
#include "memfs/xattrs.h"

namespace scalefs::memfs {

#ifdef SCALEFS_SCHEDULE
bool xattr_stamp_canary = false;
#endif

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

// One change, found out under its lock: the set that will be, and what is logged of it.
struct Change {
  std::unique_ptr<XattrSet> set;            // null: stays
  std::unique_ptr<const StoredXattr> value;  // of the name whose cell is `cell`, instead of a set
  XattrCell* cell = nullptr;
  std::optional<uint32_t> mode;
  std::unique_ptr<OpRecord> records[2];
};

// The new mode of an object whose access ACL becomes `acl`. mode_lock is held.
uint32_t mode_by_acl(const Mnode& mnode, const Acl& acl) {
  const uint32_t mode = mnode.mode.load(relaxed);
  return (mode & ~0777u) | acl.mode_bits();
}

void record(Impl& impl, Change& change, auto op, uint64_t cost, int64_t now) {
  auto made = impl.make_record(std::move(op), cost);
  if (made == nullptr) return;
  made->ctime_ns = now;
  (change.records[0] == nullptr ? change.records[0] : change.records[1]) = std::move(made);
}

// Removes the access control list when it is there, and sets the mode when it is given.
Change acl_removal(Impl& impl, Mnode& mnode, const Atomic<const XattrSet*>& place,
                   std::string_view name, std::optional<uint32_t> mode, int64_t now) {
  Change change;
  if (present_acl(mnode, name) != nullptr) {
    change.set = xattrs_without(place, name);
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

// `cell`: where a new value goes; null: into a new set.
Change setting(Impl& impl, Mnode& mnode, const Atomic<const XattrSet*>& place, XattrCell* cell,
               std::string_view name, ConstBytes value, std::optional<uint32_t> mode,
               uint64_t cost, int64_t now) {
  Change change;
  change.cell = cell;
  if (cell != nullptr)
    change.value = std::make_unique<const StoredXattr>(value);
  else
    change.set = xattrs_with(place, name, value);
  change.mode = mode;
  record(impl, change,
         SetXattrOp{mnode.number, std::string(name), XattrValue(value.begin(), value.end()), mode},
         cost, now);
  return change;
}

// Publishes and logs a change of a list; mode_lock is held, room was taken.
OldXattrs apply_acl(Impl& impl, Mnode& mnode, Atomic<const XattrSet*>& place, Change change,
                    int64_t now) {
  SetAttrOp attributes;
  attributes.mode = change.mode;
  LogSlot slot(impl);
  const Stamp stamp =
      slot.stamp(std::max(mnode.stamp.load(acquire), mnode.mode_stamp.load(relaxed)));
  OldXattrs old;
  {
    ModeWrite write(mnode, stamp);
    publish_mode(mnode, attributes);
    impl.deltas.add(mnode, {.ctime_ns = now, .stamp = stamp});
  }
  if (change.set != nullptr) old = publish_xattrs(place, std::move(change.set));
  for (auto& one : change.records)
    if (one != nullptr) slot.append(std::move(one));
  return old;
}

// The last stamp given under the bucket's lock, which is held.
Stamp last_of(const XattrTable::Bucket& bucket) {
#ifdef SCALEFS_SCHEDULE
  if (xattr_stamp_canary) return 0;
#endif
  return bucket.stamp.load(relaxed);
}

// What a change in a bucket has replaced.
struct Replaced {
  OldXattrs set;
  OldXattrValue value;
};

// The same for a change in a bucket, whose lock is held.
Replaced apply(Impl& impl, Mnode& mnode, XattrTable::Bucket& bucket, Change change, int64_t now) {
  LogSlot slot(impl);
  const Stamp stamp = slot.stamp(std::max(mnode.stamp.load(acquire), last_of(bucket)));
  impl.deltas.add(mnode, {.ctime_ns = now, .stamp = stamp});
  bucket.stamp.store(stamp, release);
  Replaced old;
  if (change.cell != nullptr)
    old.value.reset(change.cell->replace(std::move(change.value)));
  else
    old.set = publish_xattrs(bucket.set, std::move(change.set));
  if (change.records[0] != nullptr) slot.append(std::move(change.records[0]));
  return old;
}

// Sets the ctime alone, after the operation with stamp `seen`. Room was taken.
void apply_ctime(Impl& impl, Mnode& mnode, Stamp seen, int64_t now) {
  SetAttrOp nothing;
  nothing.target = mnode.number;
  auto record = impl.make_record(std::move(nothing), kRecordCost);
  if (record != nullptr) record->ctime_ns = now;
  LogSlot slot(impl);
  const Stamp stamp = slot.stamp(std::max(mnode.stamp.load(acquire), seen));
  impl.deltas.add(mnode, {.ctime_ns = now, .stamp = stamp});
  slot.append(std::move(record));
}

// What a call sees of a name without a lock.
struct Seen {
  bool present = false;
  bool same = false;  // with the value that is asked for
  Stamp stamp = 0;    // of the operation that made it so, or of a later one
};
Seen look(const Mnode& mnode, std::string_view name, ConstBytes value) {
  Seen seen;
  EpochGuard guard;
  const XattrTable* table = present_xattrs(mnode);
  if (table == nullptr) return seen;
  const StoredXattr* found = table->find(name, &seen.stamp);
  seen.present = found != nullptr;
  seen.same = found != nullptr && std::ranges::equal(found->bytes(), value);
  return seen;
}
Status check_present(bool present, XattrMode mode) {
  if (mode == XattrMode::create && present) return Errno(EEXIST);
  if (mode == XattrMode::replace && !present) return Errno(ENODATA);
  return {};
}

Status set_acl(Impl& impl, Mnode& mnode, std::string_view name, ConstBytes value, bool kill_sgid) {
  SCALEFS_TRY(const Acl acl, Acl::parse(value));
  const bool access = name == kAccessAclName;
  if (!access && !mnode.is_directory()) return acl.empty() ? Status() : Status(Errno(EACCES));
  const uint64_t cost = kRecordCost + name.size() + value.size();
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost + kRecordCost,
                              .tree_places = xattr_places(value.size()) + kAttributePlaces}));
  const int64_t now = wall_coarse_ns();
  Atomic<const XattrSet*>& place = xattr_table(mnode).acls();
  OldXattrs old;
  SleepLock lock(mnode.mode_lock);
  std::optional<uint32_t> mode;
  if (access && !acl.empty()) mode = mode_by_acl(mnode, acl) & ~(kill_sgid ? S_ISGID : 0u);
  Change change;
  if (acl.empty() || (access && acl.is_minimal())) {
    change = acl_removal(impl, mnode, place, name, mode, now);
    if (change.set == nullptr && !change.mode) return {};
  } else {
    // The list and the mode are seen together or not at all, so it is never changed in its cell.
    change = setting(impl, mnode, place, nullptr, name, acl.bytes(), mode, cost, now);
  }
  Need used;
  for (const auto& one : change.records) {
    if (one != nullptr) used.log_bytes += one->cost_bytes;
  }
  old = apply_acl(impl, mnode, place, std::move(change), now);
  room.keep(used);
  return {};
}

}  // namespace

Status MemFs::setxattr(MnodeNo number, std::string_view name, ConstBytes value, XattrMode mode,
                       bool kill_sgid) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, EPERM));
  if (value.size() > kXattrValueBytesMax) return Errno(E2BIG);
  SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  if (is_acl_name(name)) return set_acl(impl, *mnode, name, value, kill_sgid);
  SCALEFS_TRY_VOID(check_present(look(*mnode, name, value).present, mode));
  const uint64_t cost = kRecordCost + name.size() + value.size();
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost, .tree_places = xattr_places(value.size())}));
  const int64_t now = wall_coarse_ns();
  const Seen seen = look(*mnode, name, value);
  if (seen.same && mode != XattrMode::create) {
    apply_ctime(impl, *mnode, seen.stamp, now);
    room.keep({.log_bytes = kRecordCost});
    return {};
  }
  XattrTable::Bucket& bucket = xattr_table(*mnode).bucket(name);
  Replaced old;
  MutexLock lock(bucket.lock);
  const XattrSet* set = bucket.set.load(relaxed);
  XattrCell* const cell = set != nullptr ? set->cell(name) : nullptr;
  SCALEFS_TRY_VOID(check_present(cell != nullptr, mode));
  old = apply(impl, *mnode, bucket,
              setting(impl, *mnode, bucket.set, cell, name, value, std::nullopt, cost, now), now);
  room.keep();
  return {};
}

Result<std::vector<std::byte>> MemFs::getxattr(MnodeNo number, std::string_view name) {
  SCALEFS_TRY(const Pin mnode, Pin::of(*impl_, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, ENODATA));
  SCALEFS_TRY_VOID(load_xattrs(*impl_, *mnode));
  EpochGuard guard;
  const XattrTable* table = present_xattrs(*mnode);
  const StoredXattr* value = table != nullptr ? table->find(name) : nullptr;
  if (value == nullptr) return Errno(ENODATA);
  return std::vector<std::byte>(value->bytes().begin(), value->bytes().end());
}

Result<std::vector<std::string>> MemFs::listxattr(MnodeNo number) {
  SCALEFS_TRY(const Pin mnode, Pin::of(*impl_, number));
  SCALEFS_TRY_VOID(load_xattrs(*impl_, *mnode));
  EpochGuard guard;
  const XattrTable* table = present_xattrs(*mnode);
  return table != nullptr ? table->names() : std::vector<std::string>();
}

Status MemFs::removexattr(MnodeNo number, std::string_view name) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin mnode, Pin::of(impl, number));
  SCALEFS_TRY_VOID(check_xattr_name(*mnode, name, EPERM));
  SCALEFS_TRY_VOID(load_xattrs(impl, *mnode));
  if (is_acl_name(name)) return set_acl(impl, *mnode, name, {}, false);
  if (!look(*mnode, name, {}).present) return Errno(ENODATA);
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take(
      {.log_bytes = kRecordCost + name.size(), .tree_places = xattr_places(0), .always = true}));
  const int64_t now = wall_coarse_ns();
  XattrTable::Bucket& bucket = xattr_table(*mnode).bucket(name);
  Replaced old;
  MutexLock lock(bucket.lock);
  const XattrSet* set = bucket.set.load(relaxed);
  if (set == nullptr || set->find(name) == nullptr) return Errno(ENODATA);
  Change change;
  change.set = set->without(name);
  record(impl, change, RemoveXattrOp{mnode->number, std::string(name)}, kRecordCost + name.size(),
         now);
  old = apply(impl, *mnode, bucket, std::move(change), now);
  room.keep();
  return {};
}

}  // namespace scalefs::memfs
