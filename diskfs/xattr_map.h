// The extended attributes of inodes in a tree that is being written. Small values stand in the item
// of their name's hash, larger ones in chunk items of their own. Errors: as TreeWriter; EUCLEAN for
// items that do not decode; EOVERFLOW when more names share one hash than an item can hold (with the
// volume's secret key nobody can make that happen). Not thread-safe.
#pragma once

#include "diskfs/items.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

class XattrMap {
 public:
  explicit XattrMap(TreeWriter& tree) : tree_(tree) {}

  // value.size() <= kXattrValueBytesMax.
  Status put(Ino ino, std::string_view name, ConstBytes value);
  // A name that is not there is ok.
  Status remove(Ino ino, std::string_view name);

 private:
  Status load(const Key& key, std::vector<XattrRecord>* records);
  Result<uint64_t> new_chunk_id(Ino ino);
  Status put_chunks(Ino ino, uint64_t chunk_id, ConstBytes value);
  Status erase_chunks(Ino ino, uint64_t chunk_id, uint32_t from);

  TreeWriter& tree_;
};

}  // namespace scalefs::diskfs
