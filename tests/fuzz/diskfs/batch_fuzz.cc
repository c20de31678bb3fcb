// Any bytes as a batch: either refused, or exactly what an encoder writes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "diskfs/batch.h"

using scalefs::ConstBytes;
using scalefs::Ino;
using scalefs::Status;

namespace {

class Again final : public scalefs::diskfs::BatchVisitor {
 public:
  using InodeItem = scalefs::diskfs::InodeItem;
  using DirentTarget = scalefs::diskfs::DirentTarget;
  Status put_inode(Ino ino, const InodeItem& i) override { return batch.put_inode(ino, i), ok(); }
  Status delete_inode(Ino ino) override { return batch.delete_inode(ino), ok(); }
  Status put_dirent(Ino ino, uint64_t hash, std::string_view name,
                    const DirentTarget& target) override {
    return batch.put_dirent(ino, hash, name, target), ok();
  }
  Status del_dirent(Ino ino, uint64_t hash, std::string_view name) override {
    return batch.del_dirent(ino, hash, name), ok();
  }
  Status put_extent(Ino ino, uint64_t page, scalefs::BlockNo first,
                    std::span<const uint32_t> crcs) override {
    return batch.put_extent(ino, page, first, crcs), ok();
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    return batch.put_unwritten(ino, page, count), ok();
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    return batch.put_inline(ino, page, content), ok();
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    return batch.punch(ino, from, to), ok();
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    return batch.put_xattr(ino, name, value), ok();
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    return batch.del_xattr(ino, name), ok();
  }
  Status put_orphan(Ino ino) override { return batch.put_orphan(ino), ok(); }
  Status del_orphan(Ino ino) override { return batch.del_orphan(ino), ok(); }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    return batch.set_mnode_mark(slot, counter), ok();
  }
  scalefs::diskfs::Batch batch;

 private:
  static Status ok() { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ConstBytes bytes(reinterpret_cast<const std::byte*>(data), size);
  Again again;
  if (scalefs::diskfs::visit_batch(bytes, again).ok() &&
      !std::ranges::equal(again.batch.bytes(), bytes)) {
    std::abort();
  }
  return 0;
}
