// rename(2) and renameat2(2): replace, no_replace, exchange, whiteout, whiteout_no_replace.
//
// Locks: the buckets of both names; all buckets of a directory that is replaced. A directory that gets another
// parent makes no loop, alone or together with others: tree_move.h. The target is published before the source
// goes, so that a lock-free reader never finds neither (P9).
#include <sys/stat.h>

#include <algorithm>

#include "memfs/file_node.h"
#include "memfs/new_object.h"
#include "memfs/resolve.h"
#include "memfs/tree_move.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

// One call, and what it has found out so far.
struct Rename {
  Impl& impl;
  std::string_view source_name, target_name;
  RenameMode mode;
  const Caller& caller;
  Pin source_parent, target_parent;
  uint64_t source_hash = 0, target_hash = 0;
  Pin moved, replaced;  // replaced: empty when the target name means nothing
  bool wants_growth = false;  // of the target directory
  bool in_turn = false;  // met another directory on the move
  bool exchange() const { return mode == RenameMode::exchange; }
  bool keeps_target() const {
    return mode == RenameMode::no_replace || mode == RenameMode::whiteout_no_replace;
  }
  bool leaves_whiteout() const {
    return mode == RenameMode::whiteout || mode == RenameMode::whiteout_no_replace;
  }
  bool same_parent() const { return source_parent.get() == target_parent.get(); }
  // A directory gets another parent.
  bool moves_directory() const {
    return !same_parent() &&
           (moved->is_directory() || (exchange() && replaced && replaced->is_directory()));
  }
  bool kills() const { return replaced && !exchange() && replaced->is_directory(); }
};

enum class Next { done, go_on, again };

// What the name means in memory; empty when its object is not there, or the name has gone.
Pin pin_of(Impl& impl, const NameItem& item) {
  const NameValue value = item.value();
  Mnode* const mnode = value ? impl.find(value.number()) : nullptr;
  auto pin = mnode != nullptr ? Pin::under_guard(impl, mnode) : Result<Pin>(Pin());
  return pin.ok() ? std::move(pin).value() : Pin();
}

// What follows from whether the names are there, and then from whether they are directories', neither of which a change in
// place writes as long as it stays (I1). Otherwise goes on with both objects, or is to look them up (again).
Result<Next> look_in_memory(Rename& r) {
  EpochGuard guard;
  bool known;
  const NameItem* const source =
      r.source_parent->directory->locate(r.source_hash, r.source_name, &known);
  if (!known) return Next::again;
  if (!is_live(source)) return Errno(ENOENT);
  const NameItem* const target =
      r.target_parent->directory->locate(r.target_hash, r.target_name, &known);
  if (!known) return Next::again;
  const bool there = is_live(target);
  if (r.exchange() && !there) return Errno(ENOENT);
  if (r.keeps_target() && there) return Errno(EEXIST);
  // Onto itself: both names mean the same.
  if (there && r.same_parent() && r.source_name == r.target_name) return Next::done;
  if (!r.exchange() && there) {
    const NameKind moved = source->kind();
    const NameKind replaced = target->kind();
    if (moved == NameKind::other && replaced == NameKind::directory) return Errno(EISDIR);
    // Only what is in a directory above the target's can be moved below itself, which is told first.
    if (moved == NameKind::directory && replaced == NameKind::other &&
        (r.same_parent() || !seems_below(r.impl, *r.target_parent, *r.source_parent)))
      return Errno(ENOTDIR);
  }
  r.moved = pin_of(r.impl, *source);
  r.replaced = there ? pin_of(r.impl, *target) : Pin();
  return r.moved && (r.replaced || !there) ? Next::go_on : Next::again;
}

// What follows from the types and the mode alone.
Result<Next> check_types(Rename& r) {
  if (r.exchange() && !r.replaced) return Errno(ENOENT);
  if (r.keeps_target() && r.replaced) return Errno(EEXIST);
  if (!r.replaced) return Next::go_on;
  if (r.moved.get() == r.replaced.get()) return Next::done;
  if (r.exchange()) return Next::go_on;
  if (r.moved->is_directory() && !r.replaced->is_directory()) return Errno(ENOTDIR);
  if (!r.moved->is_directory() && r.replaced->is_directory()) return Errno(EISDIR);
  if (r.kills() && r.impl.deltas.read_data(*r.replaced).entries != 0) return Errno(ENOTEMPTY);
  return Next::go_on;
}

// For what fails, so that it writes nothing; what goes on is looked at again in commit().
Status check_loops(const Rename& r) {
  if (r.moved->is_directory() && was_below(r.impl, *r.target_parent, *r.moved))
    return Errno(EINVAL);
  if (r.replaced && r.replaced->is_directory() &&
      was_below(r.impl, *r.source_parent, *r.replaced))
    return Errno(r.exchange() ? EINVAL : ENOTEMPTY);
  return {};
}

// Data goes before the name that will show it (P2).
Status write_back_first(Rename& r) {
  if (r.impl.backend == nullptr || !r.replaced) return {};
  if (r.moved->is_file()) SCALEFS_TRY_VOID(r.impl.backend->write_back(r.moved->number));
  if (r.exchange() && r.replaced->is_file())
    SCALEFS_TRY_VOID(r.impl.backend->write_back(r.replaced->number));
  return {};
}

constexpr NewObject kWhiteout = {.mode = S_IFCHR, .whiteout = true};

// Everything that is allocated before the locks.
struct Prepared {
  NameItemPtr target_item;              // of a name that is not there
  NameCellPtr source_cell, target_cell; // of names that are
  NameCell* old_cells[2] = {nullptr, nullptr};
  std::optional<MadeObject> whiteout;
  std::unique_ptr<OpRecord> record;
  int64_t now = 0;
};

Result<Prepared> prepare(Rename& r, uint64_t cost, Inherited inherited) {
  Prepared p;
  p.now = wall_coarse_ns();
  const NameValue moved(r.moved->number, r.moved->type);
  if (r.replaced) {
    p.target_cell = std::make_unique<NameCell>();
  } else {
    p.target_item.reset(NameItem::make(r.target_hash, r.target_name, moved));
  }
  if (r.exchange() || r.leaves_whiteout()) p.source_cell = std::make_unique<NameCell>();
  if (r.leaves_whiteout()) {
    SCALEFS_TRY(p.whiteout, make_object(r.impl, *r.source_parent, kWhiteout, std::move(inherited),
                                        r.caller, p.now));
  }
  if (!r.impl.logging()) return p;
  RenameOp op;
  op.source_parent = r.source_parent->number;
  op.source_name = r.source_name;
  op.target_parent = r.target_parent->number;
  op.target_name = r.target_name;
  op.moved = r.moved->number;
  op.moved_type = r.moved->type;
  if (r.replaced) {
    op.replaced = r.replaced->number;
    op.replaced_type = r.replaced->type;
  }
  op.exchange = r.exchange();
  if (p.whiteout) {
    op.whiteout = p.whiteout->attr;
    op.whiteout_xattrs = std::move(p.whiteout->xattrs);
  }
  p.record = r.impl.make_record(std::move(op), cost);
  p.record->mtime_ns = p.record->ctime_ns = p.now;
  return p;
}

// The counts of both parents and the objects. All locks are held.
void count(Rename& r, int64_t now, Stamp stamp, bool whiteout) {
  const auto directory = [](const Pin& pin) { return pin && pin->is_directory() ? 1 : 0; };
  MetaDelta source{.mtime_ns = now, .ctime_ns = now, .stamp = stamp};
  MetaDelta target = source;
  const int moved = directory(r.moved);
  const int replaced = directory(r.replaced);
  if (r.exchange()) {
    source.nlink = replaced - moved;
    target.nlink = moved - replaced;
  } else {
    source.nlink = -moved;
    source.entries = whiteout ? 0 : -1;
    target.nlink = moved - replaced;
    target.entries = r.replaced ? 0 : 1;
  }
  if (r.same_parent()) {
    source.nlink += target.nlink;
    source.entries += target.entries;
  } else {
    r.impl.deltas.add(*r.target_parent, target);
  }
  r.impl.deltas.add(*r.source_parent, source);
  r.impl.deltas.add(*r.moved, {.ctime_ns = now, .stamp = stamp});
  if (r.replaced) {
    const int64_t links = r.exchange() ? 0 : replaced ? -2 : -1;
    r.impl.deltas.add(*r.replaced, {.nlink = links, .ctime_ns = now, .stamp = stamp});
  }
}

// Locks, checks that nothing has changed, and does it. `removed`: a name to be retired.
Result<Next> commit(Rename& r, Prepared& p, NameItem** removed) {
  DirectoryNode& sources = *r.source_parent->directory;
  DirectoryNode& targets = *r.target_parent->directory;
  NameLocks locks;
  locks.add(sources, r.source_hash).add(targets, r.target_hash);
  if (r.kills()) locks.add_all(*r.replaced->directory);
  locks.lock();
  NameItem* source = sources.item(r.source_hash, r.source_name);
  NameItem* target = targets.item(r.target_hash, r.target_name);
  const auto means = [](const NameItem* item) {
    return item != nullptr ? item->value() : NameValue();
  };
  const NameValue moved(r.moved->number, r.moved->type);
  const NameValue replaced =
      r.replaced ? NameValue(r.replaced->number, r.replaced->type) : NameValue();
  if (targets.dead()) return Errno(ENOENT);
  // A name of a damaged folder that tells another type than its object has would be looked up for ever.
  const auto lies = [](NameValue name, NameValue object) {
    return name && name.number() == object.number() && name.type() != object.type();
  };
  if (lies(means(source), moved) || lies(means(target), replaced)) return Errno(EUCLEAN);
  if (means(source) != moved || means(target) != replaced) return Next::again;
  if (r.kills() && r.impl.deltas.read_data(*r.replaced).entries != 0) return Errno(ENOTEMPTY);

  // See mnode.h, "Stamps".
  Stamp last = std::max({locks.last_stamp(), r.moved->stamp.load(acquire),
                         r.source_parent->last_explicit(),
                         r.target_parent->last_explicit()});
  if (r.replaced) last = std::max(last, r.replaced->stamp.load(acquire));
  TreeMove move(r.impl);
  if (!r.same_parent() && r.moved->is_directory()) move.announce(*r.moved, *r.target_parent);
  if (!r.same_parent() && r.exchange() && r.replaced->is_directory())
    move.announce(*r.replaced, *r.source_parent);
  const TreeMove::Answer answer = move.check(&last);
  if (answer == TreeMove::Answer::busy) r.in_turn = true;
  if (answer != TreeMove::Answer::free) return Next::again;
  LogSlot slot(r.impl);
  const Stamp stamp = slot.stamp(last);
  if (r.kills()) r.replaced->directory->kill();
  move.finish(stamp);
  if (r.replaced) {
    p.old_cells[0] = target->set(moved, p.target_cell);
  } else {
    publish_name(targets, target, std::move(p.target_item), moved);
  }
  if (r.exchange()) {
    p.old_cells[1] = source->set(replaced, p.source_cell);
  } else if (p.whiteout) {
    const NameValue whiteout(p.whiteout->attr.mnode, p.whiteout->mnode->type);
    publish_object(r.impl, p.whiteout->mnode.release(), stamp);
    p.old_cells[1] = source->set(whiteout, p.source_cell);
  } else {
    *removed = sources.remove(source, stamp);
  }
  count(r, p.now, stamp, p.whiteout.has_value());
  locks.set_stamp(stamp);
  slot.append(std::move(p.record));
  r.wants_growth = targets.wants_growth(r.target_hash);
  return Next::done;
}

// Finds both objects as they are now, in memory or on disk.
Status look_up(Rename& r) {
  SCALEFS_TRY(r.moved, resolve_object(r.impl, *r.source_parent, r.source_hash, r.source_name));
  auto replaced = resolve_object(r.impl, *r.target_parent, r.target_hash, r.target_name);
  if (!replaced.ok() && replaced.code() != ENOENT) return replaced.error();
  r.replaced = replaced.ok() ? std::move(replaced).value() : Pin();
  return {};
}

// One attempt.
Result<Next> attempt(Rename& r) {
  SCALEFS_TRY(const Next told, look_in_memory(r));
  if (told == Next::done) return told;
  if (told == Next::again) SCALEFS_TRY_VOID(look_up(r));
  const auto next = check_types(r);
  if (next.ok() && *next == Next::done) return next;
  // A directory moved below itself is told before what the target name would say.
  if (r.moves_directory() && next.code() != EEXIST) SCALEFS_TRY_VOID(check_loops(r));
  if (!next.ok()) return next;
  SCALEFS_TRY_VOID(write_back_first(r));
  const uint64_t cost = 2 * kRecordCost + r.source_name.size() + r.target_name.size();
  Reservation room(r.impl);
  Inherited inherited;
  if (r.leaves_whiteout()) {
    SCALEFS_TRY(inherited, inherited_by(r.impl, *r.source_parent, kWhiteout, r.caller));
  }
  SCALEFS_TRY_VOID(room.take(
      {.log_bytes = cost, .tree_places = kRenamePlaces + xattrs_places(inherited.xattrs)}));
  SCALEFS_TRY(Prepared prepared, prepare(r, cost, std::move(inherited)));
  NameItem* removed = nullptr;
  Result<Next> result = Next::again;
  if (r.in_turn) {
    MutexLock lock(r.impl.rename_lock);
    result = commit(r, prepared, &removed);
    if (result.ok() && *result == Next::again) give_way();  // in whose way we are may not be running
  } else {
    result = commit(r, prepared, &removed);
  }
  if (!result.ok() || *result != Next::done) return result;
  room.keep();
  for (NameCell* cell : prepared.old_cells)
    if (cell != nullptr) epoch::retire(cell);
  if (r.wants_growth) r.target_parent->directory->grow();
  if (!r.exchange() && !r.leaves_whiteout())
    after_removal(r.impl, *r.source_parent, removed);
  return result;
}

}  // namespace

Status MemFs::rename(MnodeNo source_dir, std::string_view source_name, MnodeNo target_dir,
                     std::string_view target_name, RenameMode mode, const Caller& caller) {
  SCALEFS_TRY_VOID(check_changed_name(source_name));
  SCALEFS_TRY_VOID(check_changed_name(target_name));
  Rename r{*impl_, source_name, target_name, mode, caller, {}, {}, 0, 0, {}, {}};
  SCALEFS_TRY(r.source_parent, pin_directory(*impl_, source_dir));
  SCALEFS_TRY(r.target_parent, pin_directory(*impl_, target_dir));
  r.source_hash = hash_name(*impl_, source_name);
  r.target_hash = hash_name(*impl_, target_name);
  for (;;) {
    SCALEFS_TRY(const Next next, attempt(r));
    if (next == Next::done) return {};
  }
}

}  // namespace scalefs::memfs
