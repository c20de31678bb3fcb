#include "memfs/mnode.h"

#include "base/memory.h"
#include "memfs/directory.h"
#include "memfs/file_node.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

Mnode::Mnode(MnodeInit init)
    : number(init.attr.mnode),
      type(type_of_mode(init.attr.mode)),
      loaded(init.loaded),
      generation(init.attr.generation),
      rdev(init.attr.rdev),
      btime_ns(init.attr.btime_ns),
      symlink_bytes(is_symlink() ? init.attr.size : 0) {
  // Relaxed throughout: nobody else can see the object yet; its publication releases.
  mode.store(init.attr.mode, relaxed);
  uid.store(init.attr.uid, relaxed);
  gid.store(init.attr.gid, relaxed);
  flags.store(init.attr.flags, relaxed);
  atime_ns.store(init.attr.atime_ns, relaxed);
  base_mtime_ns.store(init.attr.mtime_ns, relaxed);
  base_ctime_ns.store(init.attr.ctime_ns, relaxed);
  base_nlink.store(init.attr.nlink, relaxed);
  base_entries.store(static_cast<int64_t>(init.entries), relaxed);
  stamp.store(init.stamp, relaxed);
  parent.store(init.parent.v, relaxed);
  tmpfile.store(init.tmpfile, relaxed);
  base_lookups = init.lookups;
  if (is_directory()) directory = std::make_unique<DirectoryNode>(!init.loaded);
  if (is_file()) file = FileNode::make(init.attr.size, init.attr.blocks, init.loaded);
  memory_count(MemoryClass::mnode, sizeof(Mnode));
}

Mnode::~Mnode() {
  memory_count(MemoryClass::mnode, -static_cast<int64_t>(sizeof(Mnode)));
  delete target.load(relaxed);  // nobody else can see the object any more
  delete xattrs.load(relaxed);
}

}  // namespace scalefs::memfs
