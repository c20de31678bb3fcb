// A batch: what one commit makes durable at once (I6), as a list of idempotent operations with
// absolute results, encoded little-endian as FORMAT.md describes. The same bytes go to the journal,
// to the apply function at a checkpoint, and through it again at recovery (I8).
//
// Order inside a batch matters only between operations on the same key; they are applied in the
// order in which they were added. Not thread-safe.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "diskfs/batch_bytes.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

class Batch {
 public:
  // Creates or replaces the attributes of `ino` (blocks and entries are kept, zero when new).
  void put_inode(Ino ino, const InodeItem& item);
  // Removes every item of `ino`, frees its blocks, and makes the number available again.
  void delete_inode(Ino ino);
  // Adds the name or replaces its target.
  void put_dirent(Ino dir, uint64_t hash, std::string_view name, const DirentTarget& target);
  void del_dirent(Ino dir, uint64_t hash, std::string_view name);
  // Pages [page, page + crcs.size()) are in the blocks from `first` on. What they replace is freed.
  // 1 <= crcs.size() <= kExtentBlocksMax.
  void put_extent(Ino ino, uint64_t page, BlockNo first, std::span<const uint32_t> crcs);
  // Pages of the range that are mapped stay; the others become allocated but unwritten (zeros).
  void put_unwritten(Ino ino, uint64_t page, uint64_t count);
  // The content of one page, at most kBlockBytes; zeros follow. Checkpoint gives it a place.
  void put_inline(Ino ino, uint64_t page, ConstBytes content);
  // Removes the mapping of pages [from, to); to == UINT64_MAX means to the end.
  void punch(Ino ino, uint64_t from, uint64_t to);
  void put_xattr(Ino ino, std::string_view name, ConstBytes value);
  void del_xattr(Ino ino, std::string_view name);
  // nlink is 0 and someone may have it open: reclaimed at the next mount (I12).
  void put_orphan(Ino ino);
  void del_orphan(Ino ino);
  // mnode numbers of core `slot` below `counter` may have been given out.
  void set_mnode_mark(uint32_t slot, uint64_t counter);

  static constexpr size_t kExtentBlocksMax = 128;

  // Room for so many bytes of operations, so that they need not be moved. prepare(): and no page fault when they come.
  void reserve(size_t bytes) { bytes_.reserve(bytes); }
  void prepare(size_t bytes) { bytes_.prepare(bytes); }
  size_t memory_bytes() const { return bytes_.memory_bytes(); }
  bool empty() const { return bytes_.size() == 0; }
  size_t size_bytes() const { return bytes_.size(); }
  uint32_t op_count() const { return op_count_; }
  ConstBytes bytes() const { return bytes_.payload(); }
  // As the journal takes them; empty afterwards.
  BatchBytes take_bytes();
  void clear();

 private:
  BatchBytes bytes_;
  uint32_t op_count_ = 0;
};

// Receives the operations of an encoded batch, in order. A status other than ok ends the walk.
class BatchVisitor {
 public:
  virtual ~BatchVisitor() = default;
  virtual Status put_inode(Ino ino, const InodeItem& item) = 0;
  virtual Status delete_inode(Ino ino) = 0;
  virtual Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                            const DirentTarget& target) = 0;
  virtual Status del_dirent(Ino dir, uint64_t hash, std::string_view name) = 0;
  virtual Status put_extent(Ino ino, uint64_t page, BlockNo first,
                            std::span<const uint32_t> crcs) = 0;
  virtual Status put_unwritten(Ino ino, uint64_t page, uint64_t count) = 0;
  virtual Status put_inline(Ino ino, uint64_t page, ConstBytes content) = 0;
  virtual Status punch(Ino ino, uint64_t from, uint64_t to) = 0;
  virtual Status put_xattr(Ino ino, std::string_view name, ConstBytes value) = 0;
  virtual Status del_xattr(Ino ino, std::string_view name) = 0;
  virtual Status put_orphan(Ino ino) = 0;
  virtual Status del_orphan(Ino ino) = 0;
  virtual Status set_mnode_mark(uint32_t slot, uint64_t counter) = 0;
};

// Decodes `bytes`, checking every field; EUCLEAN when it is not a well-formed batch.
Status visit_batch(ConstBytes bytes, BatchVisitor& visitor);

}  // namespace scalefs::diskfs
