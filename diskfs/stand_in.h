// Names in a metadata image, which stand for those of the volume that it was made of (FORMAT.md, "Metadata
// images"), and what names may stand under a hash, in volumes and in images.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diskfs/superblock.h"

namespace scalefs::diskfs {

// A name of `length` bytes that follows from the hash alone.
std::string stand_in_name(uint64_t hash, size_t length);
// The same for an extended attribute: up to the first dot it is `name`.
std::string stand_in_xattr_name(uint64_t hash, std::string_view name);

inline bool is_metadata_image(const Superblock& sb) {
  return (sb.feature_incompat & kIncompatImage) != 0;
}
// Whether the name in a directory, or of an attribute, has that hash.
bool dirent_has_hash(const Superblock& sb, std::string_view name, uint64_t hash);
bool xattr_has_hash(const Superblock& sb, std::string_view name, uint64_t hash);

}  // namespace scalefs::diskfs
