// The data of a regular file. What the names half needs of it:
#pragma once

#include <memory>

#include "memfs/memfs.h"
#include "memfs/mnode.h"

namespace scalefs::memfs {

class FileNode {
 public:
  // Of a new file (size 0), or of a loaded one whose pages stand in the checkpoint.
  static std::unique_ptr<FileNode> make(uint64_t size, uint64_t blocks_512, bool loaded);
  ~FileNode();

  // As stat shows them. Lock-free.
  uint64_t size() const;
  uint64_t blocks_512() const;
  // setattr's size: sets it, logs a TruncateOp, sets mtime and ctime to `now_ns`. Reserves by itself, so the
  // caller holds nothing; the object is pinned. EFBIG, ENOSPC, EIO.
  static Status truncate(MemFs::Impl& impl, Mnode& mnode, uint64_t size, int64_t now_ns);
  // The object is dead: no call on it can begin any more. Frees every page and leaves all lists.
  void drop_all(MemFs::Impl& impl, Mnode& mnode);

 private:
  FileNode() = default;
  Atomic<uint64_t> size_{0};
};

}  // namespace scalefs::memfs
