// Who answers many at once holds back the waking until all answers stand. A thread that is woken on the waker's own
// processor may run at once in its place, and would find its own answer alone, while the others, of other processors too, wait
// until the waker has the processor again.
//
// A batch belongs to the thread that it was made by, and ends there; one at a time for each thread. At its end it wakes whom it
// was told, other processors' first.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

namespace scalefs {

class WakeTarget {
 public:
  // From the thread of the batch. The target is there until it has returned.
  virtual void wake_now() = 0;
  // Where that which is woken runs, if only there.
  virtual std::optional<unsigned> processor() const = 0;

 protected:
  ~WakeTarget() = default;
};

class WakeBatch {
 public:
  WakeBatch();
  ~WakeBatch();
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;

  // At the end of this thread's batch, or now where it has none.
  static void wake(WakeTarget& target);

 private:
  void hold(WakeTarget& target);

  // Whoever does not fit is woken at once.
  std::array<WakeTarget*, 64> held_ = {};
  size_t count_ = 0;
};

}  // namespace scalefs
