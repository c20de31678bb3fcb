// Changing and loading the extended attributes of an object: what the calls, chmod and the inheritance
// of ACLs share.
#pragma once

#include <memory>

#include "memfs/impl.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

// Sees that they are in memory. May do I/O, so the caller holds nothing.
Status load_xattrs(MemFs::Impl& impl, Mnode& mnode);
// The present set, never null. The caller holds the object's change_lock, or uses it in its EpochGuard.
const XattrSet& present_xattrs(const Mnode& mnode);
// Replaces the set, under change_lock. What it replaced is retired by whoever holds the answer, after the
// locks; may be null.
struct RetireXattrs {
  void operator()(const XattrSet* set) const;
};
using OldXattrs = std::unique_ptr<const XattrSet, RetireXattrs>;
OldXattrs publish_xattrs(Mnode& mnode, std::unique_ptr<XattrSet> set);

}  // namespace scalefs::memfs
