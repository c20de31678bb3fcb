// Loads for MemFS from the last durable checkpoint: pin it, read its tree, map numbers (I5).
//
// An object that was born after the checkpoint, or whose inode number the checkpoint still has under
// another object, has nothing there: loads answer that it is empty, and MemFS has the rest in
// memory (P4). What was once seen in a checkpoint is in every later one.
//
// Errors: EIO and EUCLEAN as diskfs says; ENOENT for a name that is not there. Damage is answered for
// the one object (I11). Any number of threads; callers hold nothing.
#pragma once

#include "diskfs/diskfs.h"
#include "memfs/backend.h"
#include "volume/inode_map.h"

namespace scalefs::volume {

class Loader {
 public:
  Loader(diskfs::DiskFs& disk, InodeMap& map) : disk_(disk), map_(map) {}

  // Registers the root's numbers.
  Result<memfs::LoadedObject> load_root();
  Result<memfs::LoadedObject> load_child(MnodeNo dir, uint64_t hash, std::string_view name);
  Result<memfs::LoadedEntries> load_entries(MnodeNo dir, uint64_t from_hash, size_t count);
  Result<std::vector<memfs::LoadedPage>> load_mapping(MnodeNo file, uint64_t page, size_t count);
  // The first mapped page at or behind `page`, or one before it (after many holes); UINT64_MAX: none.
  Result<uint64_t> next_mapped(MnodeNo file, uint64_t page);
  Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> load_xattrs(MnodeNo object);

 private:
  // The object's inode number if the pinned checkpoint has it, else Ino{}.
  Result<Ino> find(const diskfs::TreeReader& reader, MnodeNo mnode);
  Result<memfs::LoadedObject> load(const diskfs::TreeReader& reader, Ino ino, MnodeNo mnode);

  diskfs::DiskFs& disk_;
  InodeMap& map_;
};

}  // namespace scalefs::volume
