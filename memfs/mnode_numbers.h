// Gives out mnode numbers: the core in the low kCoreBits bits, that core's counter above. Never twice,
// without coordination between cores. With a backend a core's counter has a limit that is made durable ahead of use
// (P5); reserve() sees that there are numbers left, and may wait.
#pragma once

#include "base/core.h"
#include "base/mutex.h"
#include "memfs/backend.h"

namespace scalefs::memfs {

class MnodeNumbers {
 public:
  // `backend` null: no limits.
  explicit MnodeNumbers(Backend* backend);
  // The next counter value of `core` and the limit below which it may be given out. Cores beyond this
  // machine's number are kept as they are.
  void set(uint32_t core, uint64_t next, uint64_t limit);
  // A fresh number. May call the backend and wait, so the caller holds nothing. Its errors; ENOSPC
  // when all 2^53 are used.
  Result<MnodeNo> take();

 private:
  struct Core {
    SpinBit lock;
    uint64_t next = 1;
    uint64_t limit = 0;
  };
  Backend* const backend_;
  PerCore<Core> cores_;
};

}  // namespace scalefs::memfs
