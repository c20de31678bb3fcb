#include "diskfs/batch_scan.h"

namespace scalefs::diskfs {

Status visit_extents(ConstBytes payload, const ExtentVisitor& visitor) {
  class Extents : public BatchScanner {
   public:
    explicit Extents(const ExtentVisitor& to) : to_(to) {}
    Status put_extent(Ino, uint64_t, BlockNo first, std::span<const uint32_t> crcs) override {
      return to_(first, crcs);
    }

   private:
    const ExtentVisitor& to_;
  };
  Extents extents(visitor);
  return visit_batch(payload, extents);
}

Status visit_put_inodes(ConstBytes payload, const InodeVisitor& visitor) {
  class Inodes : public BatchScanner {
   public:
    explicit Inodes(const InodeVisitor& to) : to_(to) {}
    Status put_inode(Ino ino, const InodeItem&) override {
      to_(ino);
      return {};
    }

   private:
    const InodeVisitor& to_;
  };
  Inodes inodes(visitor);
  return visit_batch(payload, inodes);
}

}  // namespace scalefs::diskfs
