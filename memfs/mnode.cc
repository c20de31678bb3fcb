#include "memfs/mnode.h"

#include <sys/stat.h>

#include "base/memory.h"
#include "memfs/directory.h"
#include "memfs/file_node.h"
#include "memfs/xattr_table.h"

namespace scalefs::memfs {

LazyFile::~LazyFile() { delete node_.load(relaxed); }  // nobody else can see it any more

FileNode* LazyFile::make() const {
  auto fresh = FileNode::make(size_, blocks_512_, loaded_);
  FileNode* none = nullptr;
  // Pairs with operator->.
  if (!node_.compare_exchange(none, fresh.get(), acq_rel, acquire)) return none;
  return fresh.release();
}

uint64_t LazyFile::size() const {
  const FileNode* node = peek();
  return node != nullptr ? node->size() : size_;
}

uint64_t LazyFile::blocks_512() const {
  const FileNode* node = peek();
  return node != nullptr ? node->blocks_512() : blocks_512_;
}

Mnode::Mnode(MnodeInit init)
    : number(init.attr.mnode),
      type(type_of_mode(init.attr.mode)),
      loaded(init.loaded),
      generation(init.attr.generation),
      rdev(init.attr.rdev),
      btime_ns(init.attr.btime_ns),
      file(init.attr.size, init.attr.blocks, init.loaded) {
  // Relaxed throughout: nobody else can see the object yet; its publication releases.
  mode.store(init.attr.mode, relaxed);
  uid.store(init.attr.uid, relaxed);
  gid.store(init.attr.gid, relaxed);
  flags.store(init.attr.flags, relaxed);
  base_atime_ns.store(init.attr.atime_ns, relaxed);
  base_mtime_ns.store(init.attr.mtime_ns, relaxed);
  base_ctime_ns.store(init.attr.ctime_ns, relaxed);
  mtime_ahead.store(init.attr.mtime_ns > init.attr.ctime_ns, relaxed);
  atime_ahead.store(false, relaxed);
  base_nlink.store(init.attr.nlink, relaxed);
  base_entries.store(static_cast<int64_t>(init.entries), relaxed);
  stamp.store(init.stamp, relaxed);
  tmpfile.store(init.tmpfile, relaxed);
  set_id.store(without_set_id(init.attr.mode) != init.attr.mode, relaxed);
  base_lookups = init.lookups;
  if (is_directory()) directory = std::make_unique<DirectoryNode>(number, init.parent, !init.loaded);
  static_assert(sizeof(Mnode) == 384, "DESIGN.md names it");
  memory_count(MemoryClass::mnode, sizeof(Mnode));
}

Mnode::~Mnode() {
  memory_count(MemoryClass::mnode, -static_cast<int64_t>(sizeof(Mnode)));
  delete target.load(relaxed);  // nobody else can see the object any more
  delete xattrs.load(relaxed);
}

uint32_t without_set_id(uint32_t mode) {
  mode &= ~static_cast<uint32_t>(S_ISUID);
  if (mode & S_IXGRP) mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

}  // namespace scalefs::memfs
