// Reads of one immutable tree: that of a durable checkpoint. No locks; nodes come from the node
// cache or the device and are verified (magic, uuid, own address, generation, checksum in the
// parent) before use. The caller keeps the checkpoint pinned (DiskFs::pin) while it uses a reader.
//
// Errors: EIO (device), EUCLEAN (a node or item is damaged; logged once with its block and owner).
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

class NodeStore;

// Where a tree begins. `height` 0 is an empty tree, 1 a single leaf.
struct TreeRoot {
  BlockNo block;
  uint32_t crc = 0;
  uint32_t height = 0;
  uint64_t generation = 0;
};

class TreeReader {
 public:
  TreeReader(NodeStore& store, const TreeRoot& root) : store_(&store), root_(root) {}

  // ENOENT when there is none.
  Result<InodeItem> inode(Ino ino) const;
  // All entries of `dir` with this hash (usually none or one).
  Result<std::vector<Dirent>> dirents(Ino dir, uint64_t hash) const;
  // Entries with hash >= from in order of hash. Stops after at least `count` entries, never between
  // two of one hash; `next` is the hash to go on from, empty at the end of the directory.
  struct DirRange {
    std::vector<Dirent> entries;
    std::optional<uint64_t> next;
  };
  Result<DirRange> list(Ino dir, uint64_t from, size_t count) const;
  // The mappings that meet pages [page, page + count), cut to it, in order.
  // `mappings_max`: the first so many.
  Result<std::vector<Mapping>> map(Ino ino, uint64_t page, uint64_t count,
                                   size_t mappings_max = SIZE_MAX) const;
  // ENODATA when there is none.
  Result<std::vector<std::byte>> xattr(Ino ino, std::string_view name) const;
  Result<std::vector<XattrEntry>> xattrs(Ino ino) const;
  // Orphans >= from, at most `count`.
  Result<std::vector<Ino>> orphans(Ino from, size_t count) const;
  // Recycled inode numbers >= from, at most `count`.
  Result<std::vector<Ino>> free_inos(Ino from, size_t count) const;
  // (slot, counter) pairs of set_mnode_mark.
  Result<std::vector<std::pair<uint32_t, uint64_t>>> mnode_marks() const;

 private:
  NodeStore* store_;
  TreeRoot root_;
};

}  // namespace scalefs::diskfs
