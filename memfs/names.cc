// Making, finding and removing names. The order of steps in each: impl.h.
#include <sys/stat.h>

#include <algorithm>

#include "memfs/fetch_ahead.h"
#include "memfs/file_node.h"
#include "memfs/new_object.h"
#include "memfs/resolve.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

// The pin becomes the caller's lookup.
Result<Entry> entry_of(Impl& impl, Pin pin) {
  Result<Entry> entry(std::in_place, [&] { return Entry{impl.attributes(*pin)}; });
  (void)pin.release();
  return entry;
}

// A new object under a new name.
Result<Entry> make_named(Impl& impl, MnodeNo directory_number, std::string_view name,
                         const NewObject& what, const Caller& caller) {
  SCALEFS_TRY_VOID(check_changed_name(name));
  SCALEFS_TRY(const Pin directory, pin_directory(impl, directory_number));
  DirectoryNode& names = *directory->directory;
  const uint64_t hash = hash_name(impl, name);
  SCALEFS_TRY(const bool present, is_there(impl, *directory, hash, name, true));
  if (present) return Errno(EEXIST);
  if (names.dead()) return Errno(ENOENT);

  const uint64_t cost = kRecordCost + name.size() + what.target.size();
  Reservation room(impl);
  SCALEFS_TRY(Inherited inherited, inherited_by(impl, *directory, what, caller));
  const bool link = !what.target.empty();
  // A link's content may need a block of its own.
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost,
                              .blocks = link ? 1u : 0u,
                              .tree_places = (link ? kSymlinkPlaces : kNamePlaces) +
                                             xattrs_places(inherited.xattrs)}));
  const int64_t now = wall_coarse_ns();
  SCALEFS_TRY(MadeObject made, make_object(impl, *directory, what, std::move(inherited), caller, now));
  const NameValue value(made.attr.mnode, made.mnode->type);
  Mnode* const mnode = made.mnode.get();
  NameItemPtr item(NameItem::make(hash, name, value));
  std::unique_ptr<OpRecord> record;
  if (impl.logging()) {
    record = impl.make_record(CreateOp{made.attr, directory->number, std::string(name),
                                       std::string(what.target), std::move(made.xattrs)},
                              cost);
    record->mtime_ns = record->ctime_ns = now;
  }
  const bool is_directory = mnode->is_directory();
  bool grow = false;
  {
    NameLocks locks;
    locks.add(names, hash).lock();
    if (names.dead()) return Errno(ENOENT);
    NameItem* known = names.item(hash, name);
    if (is_live(known)) return Errno(EEXIST);
    LogSlot slot(impl);
    // Acquire: pairs with AttrWrite.
    const Stamp stamp = slot.stamp(std::max(locks.last_stamp(), directory->last_explicit()));
    publish_object(impl, made.mnode.release(), stamp);
    publish_name(names, known, std::move(item), value);
    impl.deltas.add(*directory, {.nlink = is_directory ? 1 : 0,
                                 .entries = 1,
                                 .mtime_ns = now,
                                 .ctime_ns = now,
                                 .stamp = stamp});
    locks.set_stamp(stamp);
    slot.append(std::move(record));
    grow = names.wants_growth(hash);
  }
  room.keep();
  if (grow) names.grow();
  return Result<Entry>(std::in_place, [&] { return Entry{impl.attributes(*mnode)}; });  // its first lookup is the caller's
}

// Removes a name. What unlink and rmdir share.
Status remove_named(Impl& impl, MnodeNo directory_number, std::string_view name, bool directories) {
  SCALEFS_TRY_VOID(check_changed_name(name));
  SCALEFS_TRY(const Pin directory, pin_directory(impl, directory_number));
  DirectoryNode& names = *directory->directory;
  const uint64_t hash = hash_name(impl, name);
  Reservation room(impl);
  const uint64_t cost = kRecordCost + name.size();
  bool reserved = false;
  for (;;) {
    SCALEFS_TRY(const Pin target,
                resolve_object(impl, *directory, hash, name,
                               directories ? Want::directory : Want::no_directory));
    if (directories && !target->is_directory()) return Errno(ENOTDIR);
    if (!directories && target->is_directory()) return Errno(EISDIR);
    if (directories && impl.deltas.read_data(*target).entries != 0) return Errno(ENOTEMPTY);
    if (!reserved)
      SCALEFS_TRY_VOID(room.take({.log_bytes = cost, .tree_places = kNamePlaces, .always = true}));
    reserved = true;
    const int64_t now = wall_coarse_ns();
    std::unique_ptr<OpRecord> record;
    if (impl.logging()) {
      record = impl.make_record(
          UnlinkOp{directory->number, std::string(name), target->number, target->type}, cost);
      record->mtime_ns = record->ctime_ns = now;
    }
    NameItem* removed = nullptr;
    {
      NameLocks locks;
      locks.add(names, hash);
      if (directories) locks.add_all(*target->directory);
      locks.lock();
      NameItem* item = names.item(hash, name);
      if (!is_live(item)) return Errno(ENOENT);
      if (item->value().number() != target->number) continue;
      // Exact now: every bucket is locked.
      if (directories && impl.deltas.read_data(*target).entries != 0) return Errno(ENOTEMPTY);
      LogSlot slot(impl);
      const Stamp stamp = slot.stamp(
          std::max({locks.last_stamp(), target->stamp.load(acquire),  // see mnode.h, "Stamps"
                    directory->last_explicit()}));
      if (directories) target->directory->kill();
      removed = names.remove(item, stamp);
      impl.deltas.add(*target,
                      {.nlink = directories ? -2 : -1, .ctime_ns = now, .stamp = stamp});
      impl.deltas.add(*directory, {.nlink = directories ? -1 : 0,
                                   .entries = -1,
                                   .mtime_ns = now,
                                   .ctime_ns = now,
                                   .stamp = stamp});
      locks.set_stamp(stamp);
      slot.append(std::move(record));
    }
    room.keep();
    after_removal(impl, *directory, removed);
    return {};
  }
}

}  // namespace

Result<Entry> MemFs::lookup(MnodeNo dir, std::string_view name) {
  SCALEFS_TRY_VOID(check_name(name));
  Impl& impl = *impl_;
  if (name == ".") {
    SCALEFS_TRY(Pin directory, pin_directory(impl, dir));
    return entry_of(impl, std::move(directory));
  }
  const uint64_t hash = hash_name(impl, name);
  {
    // The common case in one epoch, without a pin of the directory.
    EpochGuard guard;
    const Mnode* directory = impl.find(dir);
    if (directory == nullptr) return Errno(ESTALE);
    if (!directory->is_directory()) return Errno(ENOTDIR);
    const bool up = name == "..";
    const auto found = up ? DirectoryNode::Found{NameValue(directory->directory->parent(),
                                                           Mnode::kTypeDirectory),
                                                 true}
                          : directory->directory->find(hash, name);
    if (found.known && !found.value) return Errno(ENOENT);
    if (Mnode* mnode = found.value ? impl.find(found.value.number()) : nullptr) {
      SCALEFS_TRY(Pin pin, Pin::under_guard(impl, mnode));
      return entry_of(impl, std::move(pin));
    }
    if (up) return Errno(ENOENT);  // of a removed directory
  }
  SCALEFS_TRY(const Pin directory, pin_directory(impl, dir));
  SCALEFS_TRY(Pin object, resolve_object(impl, *directory, hash, name));
  return entry_of(impl, std::move(object));
}

void MemFs::forget(MnodeNo mnode, uint64_t count) {
  EpochGuard guard;
  if (Mnode* object = impl_->find(mnode))
    impl_->deltas.add_lookups(*object, -static_cast<int64_t>(count));
}

void MemFs::forget(std::span<const Lookups> several) {
  constexpr size_t kBatch = 64;
  while (!several.empty()) {
    const auto batch = several.first(std::min(several.size(), kBatch));
    several = several.subspan(batch.size());
    EpochGuard guard;
    const FetchAhead ahead(*impl_, batch.size(), [&](size_t i) { return batch[i].mnode; });
    for (size_t i = 0; i < batch.size(); ++i) {
      ahead.before(i);
      if (Mnode* object = impl_->find(batch[i].mnode))
        impl_->deltas.add_lookups(*object, -static_cast<int64_t>(batch[i].count));
    }
  }
}

Result<Entry> MemFs::mknod(MnodeNo dir, std::string_view name, uint32_t mode, uint64_t rdev,
                           const Caller& caller) {
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  if (!S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
    return Errno(S_ISDIR(mode) ? EPERM : EINVAL);
  return make_named(*impl_, dir, name, {.mode = mode & (S_IFMT | 07777), .rdev = rdev}, caller);
}

Result<Entry> MemFs::mkdir(MnodeNo dir, std::string_view name, uint32_t mode,
                           const Caller& caller) {
  return make_named(*impl_, dir, name, {.mode = S_IFDIR | (mode & 07777)}, caller);
}

Result<Entry> MemFs::symlink(MnodeNo dir, std::string_view name, std::string_view target,
                             const Caller& caller) {
  if (target.empty()) return Errno(ENOENT);
  if (target.size() > kSymlinkBytesMax) return Errno(ENAMETOOLONG);
  if (target.find('\0') != std::string_view::npos) return Errno(EINVAL);
  return make_named(*impl_, dir, name, {.mode = S_IFLNK | 0777, .target = target}, caller);
}

Result<Entry> MemFs::create(MnodeNo dir, std::string_view name, uint32_t mode, bool exclusive,
                            const Caller& caller) {
  for (;;) {
    auto made = make_named(*impl_, dir, name, {.mode = S_IFREG | (mode & 07777)}, caller);
    if (made.ok() || exclusive || made.code() != EEXIST) return made;
    SCALEFS_TRY(const Pin directory, pin_directory(*impl_, dir));
    auto present = resolve_object(*impl_, *directory, hash_name(*impl_, name), name);
    if (!present.ok() && present.code() == ENOENT) continue;  // removed meanwhile
    if (!present.ok()) return present.error();
    if ((*present)->is_directory()) return Errno(EISDIR);
    if ((*present)->is_symlink()) return Errno(ELOOP);
    return entry_of(*impl_, std::move(present).value());
  }
}

Result<Entry> MemFs::tmpfile(MnodeNo dir, uint32_t mode, const Caller& caller) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin directory, pin_directory(impl, dir));
  if (directory->directory->dead()) return Errno(ENOENT);
  const NewObject what{.mode = S_IFREG | (mode & 07777), .tmpfile = true};
  SCALEFS_TRY(Inherited inherited, inherited_by(impl, *directory, what, caller));
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = kRecordCost,
                              .tree_places = kNamePlaces + xattrs_places(inherited.xattrs)}));
  const int64_t now = wall_coarse_ns();
  SCALEFS_TRY(
      MadeObject made,
      make_object(impl, *directory, what, std::move(inherited), caller, now));
  std::unique_ptr<OpRecord> record;
  if (impl.logging()) {
    record = impl.make_record(CreateOp{made.attr, {}, {}, {}, std::move(made.xattrs)}, kRecordCost);
    record->ctime_ns = now;
  }
  Mnode* const mnode = made.mnode.release();
  {
    LogSlot slot(impl);
    publish_object(impl, mnode, slot.stamp(directory->last_explicit()));
    slot.append(std::move(record));
  }
  room.keep();
  return Result<Entry>(std::in_place, [&] { return Entry{impl.attributes(*mnode)}; });
}

Result<Entry> MemFs::link(MnodeNo target_number, MnodeNo dir, std::string_view name) {
  SCALEFS_TRY_VOID(check_changed_name(name));
  Impl& impl = *impl_;
  SCALEFS_TRY(Pin target, Pin::of(impl, target_number));
  if (target->is_directory()) return Errno(EPERM);
  SCALEFS_TRY(const Pin directory, pin_directory(impl, dir));
  DirectoryNode& names = *directory->directory;
  const uint64_t hash = hash_name(impl, name);
  SCALEFS_TRY(const bool present, is_there(impl, *directory, hash, name, true));
  if (present) return Errno(EEXIST);
  // Before the lock, whose line a call that fails shall not write; looked at again under it.
  if (!target->tmpfile.load(relaxed) && impl.deltas.read_links(*target).nlink <= 0) return Errno(ENOENT);

  const uint64_t cost = kRecordCost + name.size();
  Reservation room(impl);
  SCALEFS_TRY_VOID(room.take({.log_bytes = cost, .tree_places = kNamePlaces}));
  const int64_t now = wall_coarse_ns();
  const NameValue value(target->number, target->type);
  NameItemPtr item(NameItem::make(hash, name, value));
  std::unique_ptr<OpRecord> record;
  if (impl.logging()) {
    record = impl.make_record(
        LinkOp{directory->number, std::string(name), target->number, target->type}, cost);
    record->mtime_ns = record->ctime_ns = now;
  }
  bool grow = false;
  {
    NameLocks locks;
    locks.add(names, hash).lock();
    if (names.dead()) return Errno(ENOENT);
    NameItem* known = names.item(hash, name);
    if (is_live(known)) return Errno(EEXIST);
    const MetaSums sums = impl.deltas.read_links(*target);
    if (sums.nlink >= kLinksMax) return Errno(EMLINK);
    // Relaxed: who links a temporary file twice at once may write it twice.
    const bool first = target->tmpfile.load(relaxed);
    if (sums.nlink <= 0 && !first) return Errno(ENOENT);
    LogSlot slot(impl);
    const Stamp stamp = slot.stamp(
        std::max({locks.last_stamp(), sums.stamp, directory->last_explicit()}));
    if (first) target->tmpfile.store(false, relaxed);
    impl.deltas.add(*target, {.nlink = 1, .ctime_ns = now, .stamp = stamp});
    publish_name(names, known, std::move(item), value);
    impl.deltas.add(*directory,
                    {.entries = 1, .mtime_ns = now, .ctime_ns = now, .stamp = stamp});
    locks.set_stamp(stamp);
    slot.append(std::move(record));
    grow = names.wants_growth(hash);
  }
  room.keep();
  if (grow) names.grow();
  const Entry entry{impl.answer(*target, now)};
  (void)target.release();
  return entry;
}

Status MemFs::unlink(MnodeNo dir, std::string_view name) {
  return remove_named(*impl_, dir, name, false);
}

Status MemFs::rmdir(MnodeNo dir, std::string_view name) {
  return remove_named(*impl_, dir, name, true);
}

}  // namespace scalefs::memfs
