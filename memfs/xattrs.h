// Changing and loading the extended attributes of an object: what the calls, chmod and the inheritance
// of ACLs share.
#pragma once

#include <memory>

#include "memfs/impl.h"
#include "memfs/xattr_table.h"

namespace scalefs::memfs {

#ifdef SCALEFS_SCHEDULE
// The test of the tests: a bucket's changes do not remember each other's stamps.
extern bool xattr_stamp_canary;
#endif

// Sees that they are in memory. May do I/O, so the caller holds nothing.
Status load_xattrs(MemFs::Impl& impl, Mnode& mnode);
// Null when the object has none. They were loaded.
inline XattrTable* present_xattrs(const Mnode& mnode) {
  return mnode.xattrs.load(acquire);  // pairs with install in xattrs.cc
}
// Makes the table when there is none. They were loaded. Allocates.
XattrTable& xattr_table(Mnode& mnode);
// An access control list; null when there is none. mode_lock is held, or an EpochGuard.
inline const StoredXattr* present_acl(const Mnode& mnode, std::string_view name) {
  const XattrTable* table = present_xattrs(mnode);
  return table != nullptr ? table->find_acl(name) : nullptr;
}
// Replaces a set, under the lock that protects it; an empty one by null. What it replaced is retired by whoever holds the
// answer, after the locks; may be null.
struct RetireXattrs {
  void operator()(const XattrSet* set) const;
  void operator()(const StoredXattr* value) const;
};
using OldXattrs = std::unique_ptr<const XattrSet, RetireXattrs>;
using OldXattrValue = std::unique_ptr<const StoredXattr, RetireXattrs>;
OldXattrs publish_xattrs(Atomic<const XattrSet*>& place, std::unique_ptr<XattrSet> set);
// A copy of the set with `name` set, or without it; the lock is held.
std::unique_ptr<XattrSet> xattrs_with(const Atomic<const XattrSet*>& place, std::string_view name,
                                      ConstBytes value);
std::unique_ptr<XattrSet> xattrs_without(const Atomic<const XattrSet*>& place,
                                         std::string_view name);

}  // namespace scalefs::memfs
