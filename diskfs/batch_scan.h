// Walks over encoded batches that look at some operations only.
#pragma once

#include <functional>

#include "diskfs/batch.h"

namespace scalefs::diskfs {

// A visitor that ignores everything; derive and override what matters.
class BatchScanner : public BatchVisitor {
 public:
  Status put_inode(Ino, const InodeItem&) override { return {}; }
  Status delete_inode(Ino) override { return {}; }
  Status put_dirent(Ino, uint64_t, std::string_view, const DirentTarget&) override { return {}; }
  Status del_dirent(Ino, uint64_t, std::string_view) override { return {}; }
  Status put_extent(Ino, uint64_t, BlockNo, std::span<const uint32_t>) override { return {}; }
  Status put_unwritten(Ino, uint64_t, uint64_t) override { return {}; }
  Status put_inline(Ino, uint64_t, ConstBytes) override { return {}; }
  Status punch(Ino, uint64_t, uint64_t) override { return {}; }
  Status put_xattr(Ino, std::string_view, ConstBytes) override { return {}; }
  Status del_xattr(Ino, std::string_view) override { return {}; }
  Status put_orphan(Ino) override { return {}; }
  Status del_orphan(Ino) override { return {}; }
  Status set_mnode_mark(uint32_t, uint64_t) override { return {}; }
};

using ExtentVisitor = std::function<Status(BlockNo first, std::span<const uint32_t> crcs)>;
// Every run of data blocks that the batch names, in order. EUCLEAN for a malformed batch, else what
// `visitor` answers.
Status visit_extents(ConstBytes payload, const ExtentVisitor& visitor);

}  // namespace scalefs::diskfs
