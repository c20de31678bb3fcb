// Delays the reuse of blocks that were replaced before any batch named them (P3): a reader may have
// taken such a block from a mapping in memory and read it only now. (Blocks that a checkpoint has
// referenced are held by the checkpoint pins of diskfs.)
//
// Two-phase counting, as in read-copy-update: a pin counts itself under the current phase on its own
// core's line. Retired blocks wait for the phase to be flipped and then for the pins of the phase
// before to end; only then may the phase be flipped again. A pin that begins after the flip cannot
// learn of them, for their mappings were replaced before they were retired.
//
// Locks: a spin bit a core around (phase, count); the retired lists under a mutex. step() and retire()
// may be called by anyone and do no I/O.
#pragma once

#include <functional>
#include <vector>

#include "base/core.h"
#include "base/mutex.h"
#include "diskfs/types.h"

namespace scalefs::volume {

class ReadPins {
 public:
  using Free = std::function<void(diskfs::BlockRun)>;
  explicit ReadPins(Free free) : free_(std::move(free)) {}

  class Pin {
   public:
    explicit Pin(ReadPins& pins);
    ~Pin();
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

   private:
    ReadPins& pins_;
    uint32_t core_;
    uint32_t phase_;
  };

  void retire(const std::vector<diskfs::BlockRun>& runs);
  // Frees what no reader can hold any more. True when something still waits.
  bool step();
  // Blocks that wait.
  uint64_t waiting() const;

 private:
  struct Slot {
    SpinBit lock;
    uint64_t count[2] GUARDED_BY(lock) = {0, 0};
  };
  bool phase_ended(uint32_t phase);

  const Free free_;
  PerCore<Slot> slots_;
  // Written under mutex_; a pin reads it under its slot's lock, through which phase_ended() then sees
  // the pin: relaxed is enough.
  Atomic<uint32_t> phase_{0};
  mutable Mutex mutex_;
  std::vector<diskfs::BlockRun> retired_ GUARDED_BY(mutex_);  // since the last flip
  std::vector<diskfs::BlockRun> leaving_ GUARDED_BY(mutex_);  // before it
};

}  // namespace scalefs::volume
