// POSIX access control lists (POSIX.1e draft 17) in the form that the kernel gives them as extended
// attributes: a version word, then entries {tag, permissions, id}, all little-endian.
#pragma once

#include <optional>

#include "memfs/impl.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";
inline bool is_acl_name(std::string_view name) {
  return name == kAccessAclName || name == kDefaultAclName;
}

class Acl {
 public:
  // EINVAL when it is none: a wrong version or size, entries out of order or missing, bits that mean nothing.
  // No entries at all: an empty list, which stands for "no ACL".
  static Result<Acl> parse(ConstBytes bytes);

  bool empty() const { return entries_.empty(); }
  // It says no more than permission bits can.
  bool is_minimal() const;
  // The permission bits that it shows: the mask, where there is one, as those of the group.
  uint32_t mode_bits() const;
  // As chmod changes it.
  void set_mode_bits(uint32_t mode);
  // As an access ACL of a new object asked for with `mode`: restricts the list by the bits, and the answer is
  // the bits restricted by the list.
  uint32_t restrict(uint32_t mode);
  XattrValue bytes() const;

 private:
  struct Entry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
  };
  Entry* find(uint16_t tag);
  // The entry that stands for the group bits of a mode.
  Entry& group_class();
  std::vector<Entry> entries_;
};

// What a new object in a directory gets.
struct Inherited {
  uint32_t mode = 0;
  XattrPairs xattrs;
};
// By the directory's default ACL when it has one, else `mode` without the bits of `umask`. May load, so the
// caller holds nothing.
Result<Inherited> inherit(MemFs::Impl& impl, Mnode& directory, uint32_t mode, uint32_t umask);

}  // namespace scalefs::memfs
