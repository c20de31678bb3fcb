// Making objects: what mknod, mkdir, symlink, create, tmpfile and the whiteout of a rename share.
#pragma once

#include "memfs/acl.h"
#include "memfs/impl.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

struct NewObject {
  uint32_t mode = 0;  // with the type; the umask or a default ACL is still to be applied
  uint64_t rdev = 0;
  std::string_view target = {};  // of a symlink
  bool tmpfile = false;
  bool whiteout = false;  // nobody was told of it
};

// A fresh object that nobody sees yet, with one lookup, and the xattrs that it was born with.
struct MadeObject {
  std::unique_ptr<Mnode> mnode;
  Attr attr;
  XattrPairs xattrs;
};
// What it takes from its directory. May wait and load, so the caller holds nothing.
Result<Inherited> inherited_by(MemFs::Impl& impl, Mnode& directory, const NewObject& what,
                               const Caller& caller);
// Takes a number; may wait, so the caller holds nothing.
Result<MadeObject> make_object(MemFs::Impl& impl, Mnode& directory, const NewObject& what,
                               Inherited inherited, const Caller& caller, int64_t now);
// Sets the stamp of its creation and puts it in the mnode table (where room was made).
void publish_object(MemFs::Impl& impl, Mnode* mnode, Stamp stamp);

}  // namespace scalefs::memfs
