#include "volume/read_pins.h"

namespace scalefs::volume {

ReadPins::Pin::Pin(ReadPins& pins) : pins_(pins), core_(current_core() % pins.slots_.size()) {
  Slot& slot = pins_.slots_.at(core_);
  SpinLock lock(slot.lock);
  phase_ = pins_.phase_.load(relaxed) & 1;
  ++slot.count[phase_];
}

ReadPins::Pin::~Pin() {
  Slot& slot = pins_.slots_.at(core_);
  SpinLock lock(slot.lock);
  --slot.count[phase_];
}

void ReadPins::retire(const std::vector<diskfs::BlockRun>& runs) {
  if (runs.empty()) return;
  MutexLock lock(mutex_);
  retired_.insert(retired_.end(), runs.begin(), runs.end());
}

bool ReadPins::phase_ended(uint32_t phase) {
  for (uint32_t core = 0; core < slots_.size(); ++core) {
    Slot& slot = slots_.at(core);
    SpinLock lock(slot.lock);
    if (slot.count[phase] != 0) return false;
  }
  return true;
}

bool ReadPins::step() {
  MutexLock lock(mutex_);
  // Twice: what waits may leave, and what was retired meanwhile begin to wait and leave too.
  for (int round = 0; round < 2; ++round) {
    const uint32_t phase = phase_.load(relaxed) & 1;
    if (!leaving_.empty()) {
      if (!phase_ended(phase ^ 1)) return true;
      for (const diskfs::BlockRun& run : leaving_) free_(run);
      leaving_.clear();
    }
    if (retired_.empty()) return false;
    // The phase to come was left two flips ago; its pins must be gone before it counts anew.
    if (!phase_ended(phase ^ 1)) return true;
    leaving_.swap(retired_);
    phase_.store(phase ^ 1, relaxed);
  }
  if (!leaving_.empty() && phase_ended((phase_.load(relaxed) & 1) ^ 1)) {
    for (const diskfs::BlockRun& run : leaving_) free_(run);
    leaving_.clear();
  }
  return !leaving_.empty() || !retired_.empty();
}

uint64_t ReadPins::waiting() const {
  MutexLock lock(mutex_);
  uint64_t sum = 0;
  for (const auto* list : {&retired_, &leaving_}) {
    for (const diskfs::BlockRun& run : *list) sum += run.count;
  }
  return sum;
}

}  // namespace scalefs::volume
