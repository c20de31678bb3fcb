#include "base/wake_batch.h"

#include <sched.h>

#include <algorithm>

#include "base/check.h"

namespace scalefs {

namespace {

constinit thread_local WakeBatch* current = nullptr;

}  // namespace

WakeBatch::WakeBatch() {
  SCALEFS_CHECK(current == nullptr);
  current = this;
}

WakeBatch::~WakeBatch() {
  current = nullptr;
  const int here = ::sched_getcpu();
  const auto end = held_.begin() + static_cast<ptrdiff_t>(count_);
  std::partition(held_.begin(), end, [here](const WakeTarget* target) {
    const auto there = target->processor();
    return there && here >= 0 && *there != static_cast<unsigned>(here);
  });
  for (auto it = held_.begin(); it != end; ++it) (*it)->wake_now();
}

void WakeBatch::wake(WakeTarget& target) {
  if (current == nullptr) return target.wake_now();
  current->hold(target);
}

void WakeBatch::hold(WakeTarget& target) {
  const auto end = held_.begin() + static_cast<ptrdiff_t>(count_);
  if (std::find(held_.begin(), end, &target) != end) return;
  if (count_ == held_.size()) return target.wake_now();
  held_[count_++] = &target;
}

}  // namespace scalefs
