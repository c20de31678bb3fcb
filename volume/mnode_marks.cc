#include "volume/mnode_marks.h"

#include <algorithm>

#include "base/core.h"

namespace scalefs::volume {

namespace {

constexpr uint64_t kCounterMax = kMnodeNoLimit >> kCoreBits;

}  // namespace

MnodeMarks::MnodeMarks(const Marks& durable, uint32_t cores) : slots_(kCoresMax) {
  MutexLock lock(mutex_);
  for (const auto& [slot, counter] : durable) {
    if (slot < slots_.size()) slots_[slot].durable = std::min(counter, kCounterMax);
  }
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    // Counter 0 belongs to the root and to the number that means none.
    slot.first = slot.granted = std::max<uint64_t>(slot.durable, 1);
    slot.wanted = slot.durable;
    if (i < cores) raise(slot, slot.first + kStride);
  }
}

void MnodeMarks::raise(Slot& slot, uint64_t wanted) {
  const bool before = slot.pending();
  slot.wanted = std::max(slot.wanted, std::min(wanted, kCounterMax));
  if (slot.pending() && !before) ++pending_slots_;
}

uint64_t MnodeMarks::first(uint32_t slot) const {
  MutexLock lock(mutex_);
  return slots_[slot].first;
}

std::optional<uint64_t> MnodeMarks::grant(uint32_t slot) {
  MutexLock lock(mutex_);
  Slot& s = slots_[slot];
  if (s.durable <= s.granted) return std::nullopt;
  s.granted = s.durable;
  return s.granted;
}

bool MnodeMarks::want(uint32_t slot) {
  MutexLock lock(mutex_);
  Slot& s = slots_[slot];
  if (s.durable >= kCounterMax) return false;
  raise(s, s.durable + kStride);
  return true;
}

void MnodeMarks::used(MnodeNo mnode) {
  const uint64_t counter = mnode.v >> kCoreBits;
  MutexLock lock(mutex_);
  Slot& s = slots_[mnode.v % kCoresMax];
  if (counter + kStride / 2 < s.durable) return;
  raise(s, s.durable + kStride);
}

MnodeMarks::Marks MnodeMarks::pending() const {
  MutexLock lock(mutex_);
  Marks marks;
  for (uint32_t i = 0; i < slots_.size() && marks.size() < pending_slots_; ++i) {
    if (slots_[i].pending()) marks.emplace_back(i, slots_[i].wanted);
  }
  return marks;
}

void MnodeMarks::committed(const Marks& marks) {
  MutexLock lock(mutex_);
  for (const auto& [slot, counter] : marks) {
    Slot& s = slots_[slot];
    const bool before = s.pending();
    s.durable = std::max(s.durable, counter);
    if (before && !s.pending()) --pending_slots_;
  }
}

}  // namespace scalefs::volume
