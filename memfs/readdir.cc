#include "memfs/fetch_ahead.h"
#include "memfs/resolve.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

constexpr size_t kBatch = 64;       // names copied under one epoch
constexpr size_t kLoadBatch = 256;  // names loaded at a time

struct Batch {
  std::vector<DirectoryNode::Listed> names;
  std::vector<Pin> objects;           // of each name, if pinned; empty where it is not in memory
  std::optional<uint64_t> next_hash;  // none: the end of the directory
};

// In the guard in which the names were collected: a listing with objects tells what each name meant then. Over a mount nothing
// can change until it is told, for the kernel locks the directory against changes while it reads it.
void pin_objects(Impl& impl, Batch& batch) {
  const auto& names = batch.names;
  batch.objects.resize(names.size());
  const FetchAhead ahead(impl, names.size(), [&](size_t i) { return names[i].value.number(); });
  for (size_t i = 0; i < names.size(); ++i) {
    ahead.before(i);
    const NameValue value = names[i].item->value();
    Mnode* const mnode = value ? impl.find(value.number()) : nullptr;
    if (mnode == nullptr) continue;
    auto pin = Pin::under_guard(impl, mnode);
    if (pin.ok()) batch.objects[i] = std::move(pin).value();
  }
}

// Names with hash >= from; at least one unless the end comes first.
Result<Batch> next_batch(Impl& impl, Mnode& directory, uint64_t from, bool pinned) {
  DirectoryNode& names = *directory.directory;
  for (;;) {
    const std::optional<uint64_t> last = names.loaded_until(from);
    if (!last.has_value()) {
      SCALEFS_TRY_VOID(load_names(impl, directory, from, kLoadBatch));
      continue;
    }
    Batch batch;
    const bool to_end = *last == UINT64_MAX;
    const auto to = to_end ? std::nullopt : std::optional<uint64_t>(*last + 1);
    {
      EpochGuard guard;
      batch.next_hash = names.collect(from, to, kBatch, &batch.names);
      if (pinned) pin_objects(impl, batch);
    }
    if (!batch.next_hash.has_value()) batch.next_hash = to;
    if (!batch.names.empty() || !batch.next_hash.has_value()) return batch;
    from = *batch.next_hash;
  }
}

// `give` is told the entry, the name (null for dots) and its object, empty where it is not `pinned` or not in memory, and
// answers false when there is no room.
template <class Give>
Status list(Impl& impl, Mnode& directory, uint64_t cookie, bool pinned, const Give& give) {
  if (cookie == kCookieStart) {
    if (!give(DirectoryEntry{".", directory.number, Mnode::kTypeDirectory, kCookieAfterDot},
              nullptr, Pin()))
      return {};
    cookie = kCookieAfterDot;
  }
  if (cookie == kCookieAfterDot) {
    if (!give(DirectoryEntry{"..", directory.directory->parent(), Mnode::kTypeDirectory,
                             kCookieFirstName},
              nullptr, Pin()))
      return {};
    cookie = kCookieFirstName;
  }
  if (cookie > kPositionMax + kCookieFirstName) return {};
  std::optional<uint64_t> from = hash_of_cookie(cookie);
  while (from.has_value()) {
    SCALEFS_TRY(Batch batch, next_batch(impl, directory, *from, pinned));
    for (size_t i = 0; i < batch.names.size(); ++i) {
      const auto& name = batch.names[i];
      const uint64_t position = position_of_hash(name.hash);
      // Inside a group of one position the way on is its beginning, so that none of it is lost.
      const bool group_goes_on = i + 1 < batch.names.size() &&
                                 position_of_hash(batch.names[i + 1].hash) == position;
      const uint64_t next = group_goes_on ? position + kCookieFirstName : cookie_after(position);
      Pin object = pinned ? std::move(batch.objects[i]) : Pin();
      if (!give(DirectoryEntry{name.name, name.value.number(), name.value.type(), next}, &name, std::move(object)))
        return {};
    }
    from = batch.next_hash;
  }
  return {};
}

}  // namespace

Status MemFs::readdir(MnodeNo dir, uint64_t cookie,
                      const std::function<bool(const DirectoryEntry&)>& entry, Atime atime) {
  SCALEFS_TRY(const Pin directory, pin_directory(*impl_, dir));
  if (atime == Atime::moves) impl_->touch_atime(*directory);
  return list(*impl_, *directory, cookie, false,
              [&](const DirectoryEntry& e, const DirectoryNode::Listed*, Pin) { return entry(e); });
}

Status MemFs::readdirplus(MnodeNo dir, uint64_t cookie,
                          const std::function<bool(const DirectoryEntry&, const Attr*)>& entry,
                          Atime atime) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin directory, pin_directory(impl, dir));
  if (atime == Atime::moves) impl.touch_atime(*directory);
  return list(impl, *directory, cookie, true,
              [&](const DirectoryEntry& e, const DirectoryNode::Listed* name, Pin object) {
                if (name == nullptr) {
                  const auto attr = getattr(e.mnode);
                  return entry(e, attr.ok() ? &*attr : nullptr);
                }
                if (!object) {
                  auto found = resolve_object(impl, *directory, name->hash, name->name);
                  if (!found.ok() && found.code() == ENOENT) return true;  // removed meanwhile
                  if (!found.ok()) return entry(e, nullptr);
                  object = std::move(found).value();
                }
                const Attr attr = impl.attributes(*object);
                DirectoryEntry now = e;
                now.mnode = attr.mnode;
                now.type = type_of_mode(attr.mode);
                if (!entry(now, &attr)) return false;
                (void)object.release();
                return true;
              });
}

}  // namespace scalefs::memfs
