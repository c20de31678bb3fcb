#include "memfs/new_object.h"

#include <sys/stat.h>

#include "memfs/acl.h"
#include "memfs/xattr_table.h"

namespace scalefs::memfs {

Result<Inherited> inherited_by(MemFs::Impl& impl, Mnode& directory, const NewObject& what,
                               const Caller& caller) {
  if (S_ISLNK(what.mode)) return Inherited{what.mode, {}};
  return inherit(impl, directory, what.mode, caller.umask);
}

Result<MadeObject> make_object(MemFs::Impl& impl, Mnode& directory, const NewObject& what,
                               Inherited inherited, const Caller& caller, int64_t now) {
  MadeObject made;
  Attr& attr = made.attr;
  attr.mode = inherited.mode;
  attr.uid = caller.uid;
  attr.gid = caller.gid;
  // Acquire: pairs with ModeWrite; each field alone is enough here.
  if (directory.mode.load(acquire) & S_ISGID) {
    attr.gid = directory.gid.load(acquire);
    if (S_ISDIR(what.mode)) attr.mode |= S_ISGID;
  }
  attr.nlink = what.tmpfile ? 0 : S_ISDIR(what.mode) ? 2 : 1;
  attr.generation = 1;
  attr.rdev = S_ISCHR(what.mode) || S_ISBLK(what.mode) ? what.rdev : 0;
  attr.size = what.target.size();
  attr.atime_ns = attr.mtime_ns = attr.ctime_ns = attr.btime_ns = now;
  SCALEFS_TRY(attr.mnode, impl.numbers.take());

  MnodeInit init;
  init.attr = attr;
  init.parent = directory.number;
  init.lookups = what.whiteout ? 0 : 1;
  init.tmpfile = what.tmpfile;
  made.mnode = std::make_unique<Mnode>(std::move(init));
  // The allocator will often give the memory behind it next.
  for (size_t i = 0; i < sizeof(Mnode); i += 64)
    __builtin_prefetch(reinterpret_cast<const char*>(made.mnode.get() + 1) + i, 1);
  // Relaxed: nobody sees the object yet.
  if (S_ISLNK(what.mode)) made.mnode->target.store(new std::string(what.target), relaxed);
  if (!inherited.xattrs.empty()) made.mnode->xattrs.store(new XattrTable(inherited.xattrs), relaxed);
  made.xattrs = std::move(inherited.xattrs);
  impl.table.prepare(attr.mnode);
  return made;
}

void publish_object(MemFs::Impl& impl, Mnode* mnode, Stamp stamp) {
  mnode->stamp.store(stamp, relaxed);  // published by the table's release
  impl.table.insert(mnode);
}

}  // namespace scalefs::memfs
