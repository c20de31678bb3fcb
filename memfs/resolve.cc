#include "memfs/resolve.h"

#include <utility>

namespace scalefs::memfs {

Status check_name(std::string_view name) {
  if (name.empty()) return Errno(EINVAL);
  if (name.size() > kNameBytesMax) return Errno(ENAMETOOLONG);
  for (const char c : name)
    if (c == '/' || c == '\0') return Errno(EINVAL);
  return {};
}

Status check_changed_name(std::string_view name) {
  SCALEFS_TRY_VOID(check_name(name));
  if (name == "." || name == "..") return Errno(EINVAL);
  return {};
}

Result<Pin> pin_directory(MemFs::Impl& impl, MnodeNo number) {
  SCALEFS_TRY(Pin pin, Pin::of(impl, number));
  if (!pin->is_directory()) return Errno(ENOTDIR);
  return pin;
}

uint64_t hash_name(const MemFs::Impl& impl, std::string_view name) {
  return siphash24(impl.options.hash_key, name);
}

namespace {

enum class Merge { pinned, superseded };

// Puts a loaded object and its name where they belong, unless memory knows better.
Merge merge_child(MemFs::Impl& impl, Mnode& directory, uint64_t hash, std::string_view name,
                  const LoadedObject& object, Pin* pin, bool* grow) {
  const NameValue value(object.attr.mnode, type_of_mode(object.attr.mode));
  MnodeInit init;
  init.attr = object.attr;
  init.parent = object.parent;
  init.entries = object.entries;
  init.loaded = true;
  auto fresh = std::make_unique<Mnode>(std::move(init));
  NameItemPtr item(NameItem::make(hash, name, value));
  impl.table.prepare(object.attr.mnode);

  DirectoryNode& names = *directory.directory;
  NameLocks locks;
  locks.add(names, hash).lock();
  const NameItem* known = names.item(hash, name);
  if (known != nullptr) {
    if (known->value() != value) return Merge::superseded;
  } else if (names.complete()) {
    return Merge::superseded;
  }
  // The name is there, under our lock, so the object is not dead; a review of it may be on the way all the same.
  EpochGuard guard;
  Mnode* present = impl.table.insert_or_find(fresh.get());
  if (present == fresh.get()) (void)fresh.release();
  auto pinned = Pin::under_guard(impl, present);
  if (!pinned.ok()) return Merge::superseded;
  if (known == nullptr) names.insert(item.release());
  *grow = names.wants_growth(hash);
  *pin = std::move(pinned).value();
  return Merge::pinned;
}

struct Found {
  DirectoryNode::Found name;
  Pin object;          // when it is in memory
  int unwanted = 0;    // errno: it is of another type, which is all that was read of it
};

Found find_in_memory(MemFs::Impl& impl, const Mnode& directory, uint64_t hash,
                     std::string_view name, Want want = Want::any) {
  EpochGuard guard;
  Found found;
  const NameItem* item = directory.directory->locate(hash, name, &found.name.known);
  if (item == nullptr) return found;
  if (want != Want::any) {
    const NameKind kind = item->kind();
    if (kind != NameKind::absent && (kind == NameKind::directory) != (want == Want::directory)) {
      found.unwanted = want == Want::directory ? ENOTDIR : EISDIR;
      return found;
    }
  }
  found.name.value = item->value();
  if (!found.name.value) return found;
  if (want != Want::any) directory.directory->prefetch(hash);  // it will be removed
  if (Mnode* mnode = impl.find(found.name.value.number())) {
    auto pin = Pin::under_guard(impl, mnode);
    if (pin.ok()) found.object = std::move(pin).value();
  }
  return found;
}

// Loads what the name means in the checkpoint. An empty pin: memory has changed, look again.
Result<Pin> load_child(MemFs::Impl& impl, Mnode& directory, uint64_t hash, std::string_view name,
                       NameValue seen) {
  // In memory mode everything is in memory.
  if (impl.backend == nullptr) return Errno(ESTALE);
  DirectoryNode::Load load(*directory.directory);
  auto object = impl.backend->load_child(directory.number, hash, name);
  if (object.ok()) {
    Pin pin;
    if (object->attr.mnode.v == 0 || object->attr.mnode.v >= kMnodeNoLimit) return Errno(EUCLEAN);
    bool grow = false;
    merge_child(impl, directory, hash, name, *object, &pin, &grow);
    if (grow) directory.directory->grow();
    return pin;
  }
  if (object.code() != ENOENT) return object.error();
  const Found again = find_in_memory(impl, directory, hash, name);
  if (!again.name.value) return Errno(ENOENT);
  // A name that memory has from the checkpoint, and the checkpoint knows nothing of.
  if (!again.object && again.name.value == seen) return Errno(EUCLEAN);
  return Pin();
}

}  // namespace

Result<bool> is_there(MemFs::Impl& impl, Mnode& directory, uint64_t hash, std::string_view name,
                      bool make) {
  for (;;) {
    {
      EpochGuard guard;
      bool known;
      const NameItem* item = directory.directory->locate(hash, name, &known);
      const bool live = item != nullptr && item->live();
      if (make && known && !live) directory.directory->prefetch(hash);
      if (known) return live;
    }
    auto pin = load_child(impl, directory, hash, name, {});
    if (!pin.ok() && pin.code() == ENOENT) return false;
    if (!pin.ok()) return pin.error();
    if (*pin) return true;
  }
}

Result<Pin> resolve_object(MemFs::Impl& impl, Mnode& directory, uint64_t hash,
                           std::string_view name, Want want) {
  for (;;) {
    Found found = find_in_memory(impl, directory, hash, name, want);
    if (found.unwanted != 0) return Errno(found.unwanted);
    if (found.object) return std::move(found.object);
    if (found.name.known && !found.name.value) return Errno(ENOENT);
    SCALEFS_TRY(Pin pin, load_child(impl, directory, hash, name, found.name.value));
    if (pin) return pin;
  }
}

Status load_names(MemFs::Impl& impl, Mnode& directory, uint64_t from, size_t count) {
  if (impl.backend == nullptr) return {};
  DirectoryNode& names = *directory.directory;
  DirectoryNode::Load load(names);
  SCALEFS_TRY(const LoadedEntries loaded,
              impl.backend->load_entries(directory.number, from, count));
  if (loaded.next_hash.has_value() && *loaded.next_hash <= from) return Errno(EUCLEAN);
  for (const LoadedEntry& entry : loaded.entries) {
    const bool good = check_changed_name(entry.name).ok() && entry.mnode.v != 0 &&
                      entry.mnode.v < kMnodeNoLimit && entry.hash >= from &&
                      (!loaded.next_hash.has_value() || entry.hash < *loaded.next_hash) &&
                      entry.hash == hash_name(impl, entry.name);
    if (!good) return Errno(EUCLEAN);
    NameItemPtr item(NameItem::make(entry.hash, entry.name, NameValue(entry.mnode, entry.type)));
    bool grow = false;
    {
      NameLocks locks;
      locks.add(names, entry.hash).lock();
      if (!names.complete() && names.item(entry.hash, entry.name) == nullptr)
        names.insert(item.release());
      grow = names.wants_growth(entry.hash);
    }
    if (grow) names.grow();
  }
  names.add_loaded(from, loaded.next_hash);
  return {};
}

void publish_name(DirectoryNode& names, NameItem* present, NameItemPtr item, NameValue value) {
  if (present != nullptr) {
    present->removed_at = 0;
    present->revive(value);
  } else {
    names.insert(item.release());
  }
}

void after_removal(MemFs::Impl& impl, Mnode& directory, NameItem* removed) {
  if (removed != nullptr) {
    NameItem::retire(removed);
  } else {
    impl.note_tombstone(directory);
  }
}

}  // namespace scalefs::memfs
