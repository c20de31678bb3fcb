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

}  // namespace scalefs::diskfs
