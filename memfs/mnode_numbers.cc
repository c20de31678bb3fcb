#include "memfs/mnode_numbers.h"

namespace scalefs::memfs {
namespace {
constexpr uint64_t kCounterLimit = kMnodeNoLimit >> kCoreBits;
}  // namespace

MnodeNumbers::MnodeNumbers(Backend* backend) : backend_(backend) {}

void MnodeNumbers::set(uint32_t core, uint64_t next, uint64_t limit) {
  if (core >= cores_.size()) return;
  Core& c = cores_.at(core);
  SpinLock lock(c.lock);
  // Counter 0 is never given out: with core 0 it is no number, with core 1 the root's.
  c.next = next > 0 ? next : 1;
  c.limit = limit;
}

Result<MnodeNo> MnodeNumbers::take() {
  const uint32_t core = current_core() % cores_.size();
  Core& c = cores_.at(core);
  for (;;) {
    {
      SpinLock lock(c.lock);
      if (c.next >= kCounterLimit) return Errno(ENOSPC);
      if (backend_ == nullptr || c.next < c.limit) return MnodeNo(c.next++ << kCoreBits | core);
    }
    SCALEFS_TRY(const uint64_t limit, backend_->extend_mnode_numbers(core));
    SpinLock lock(c.lock);
    if (limit <= c.next) return Errno(ENOSPC);
    if (limit > c.limit) c.limit = limit;
  }
}

}  // namespace scalefs::memfs
