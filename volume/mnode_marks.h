// mnode numbers (I5, P5). The counter of a core slot gives numbers counter << kCoreBits | core. The
// counter's high-water mark is made durable ahead of use, so that no number is given out twice, also after
// a crash: a mount starts at the mark that it finds.
//
// States of a slot: durable >= granted. `granted` is what MemFS may use up to, `durable` what the last
// committed batch said, `wanted` what the next batch is to say. The committer raises `wanted` when it
// sees numbers within half a stride of the mark, so that extend() rarely waits.
//
// Locks: one mutex, a leaf. pending() and committed() are the committer's.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/units.h"

namespace scalefs::volume {

class MnodeMarks {
 public:
  static constexpr uint64_t kStride = 65536;
  using Marks = std::vector<std::pair<uint32_t, uint64_t>>;  // (slot, counter)

  // `durable`: as the checkpoint has them. `cores`: slots in use, each of which wants a stride.
  MnodeMarks(const Marks& durable, uint32_t cores);

  // First counter value that the slot may give out.
  uint64_t first(uint32_t slot) const;
  // The limit that MemFS may be told, if that is more than it knows; none: raise and commit first.
  std::optional<uint64_t> grant(uint32_t slot);
  // Wants another stride for the slot. False when numbers have run out for good.
  bool want(uint32_t slot);

  // A created object was committed.
  void used(MnodeNo mnode);
  // What the next batch is to hold.
  Marks pending() const;
  void committed(const Marks& marks);

 private:
  struct Slot {
    uint64_t first = 0, granted = 0, durable = 0, wanted = 0;
    bool pending() const { return wanted > durable; }
  };
  void raise(Slot& slot, uint64_t wanted) REQUIRES(mutex_);

  mutable Mutex mutex_;
  size_t pending_slots_ GUARDED_BY(mutex_) = 0;
  std::vector<Slot> slots_ GUARDED_BY(mutex_);
};

}  // namespace scalefs::volume
