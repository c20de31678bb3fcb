// From names to objects: checks of names, and the walk from (directory, name) to a pinned object, which
// loads what is not in memory. Everything here may wait; the caller holds nothing.
#pragma once

#include <string_view>

#include "memfs/directory.h"
#include "memfs/impl.h"

namespace scalefs::memfs {

// ENAMETOOLONG, EINVAL (empty, '/' or NUL inside).
Status check_name(std::string_view name);
// The same for a name that is made or removed: EINVAL for "." and "..".
Status check_changed_name(std::string_view name);

// ESTALE, ENOTDIR.
Result<Pin> pin_directory(MemFs::Impl& impl, MnodeNo number);

uint64_t hash_name(const MemFs::Impl& impl, std::string_view name);

// Whether the name means anything, without a look at what. A name that is absent stays absent until somebody makes it
// in memory; `make`: the caller will, so what that writes is fetched. EIO, EUCLEAN.
Result<bool> is_there(MemFs::Impl& impl, Mnode& directory, uint64_t hash, std::string_view name,
                      bool make = false);
// Its object, pinned. ENOENT, EIO, EUCLEAN. ENOTDIR and EISDIR as `want` says; what memory has of another type is
// refused without a look at its value.
enum class Want : uint8_t { any, directory, no_directory };
Result<Pin> resolve_object(MemFs::Impl& impl, Mnode& directory, uint64_t hash,
                           std::string_view name, Want want = Want::any);
// Merges a range of names from the checkpoint, beginning with `from`.
Status load_names(MemFs::Impl& impl, Mnode& directory, uint64_t from, size_t count);

// --- with the name's bucket locked
// Gives a name that is absent or a tombstone (`present`) its value.
void publish_name(DirectoryNode& names, NameItem* present, NameItemPtr item, NameValue value);
inline bool is_live(const NameItem* item) {
  return item != nullptr && item->live();
}
// After the locks: retires what DirectoryNode::remove gave (null: it left a tombstone).
void after_removal(MemFs::Impl& impl, Mnode& directory, NameItem* removed);

// --- costs of records, for Need::log_bytes
inline constexpr uint64_t kRecordCost = kRecordLogBytes;  // without its strings

}  // namespace scalefs::memfs
