// POSIX access control lists (POSIX.1e draft 17; the kernel keeps them in two extended attributes).
#pragma once

#include "memfs/impl.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";

// What a new object in a directory gets.
struct Inherited {
  uint32_t mode = 0;
  XattrPairs xattrs;
};
// By the directory's default ACL when it has one, else `mode` without the bits of `umask`. May load.
Result<Inherited> inherit(MemFs::Impl& impl, Mnode& directory, uint32_t mode, uint32_t umask);

}  // namespace scalefs::memfs
