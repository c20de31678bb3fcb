#include "base/mutex.h"

#include <sched.h>

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/blocking.h"

namespace scalefs {
namespace {

// std::condition_variable adds the time-out to a clock's reading, so a huge one would overflow.
constexpr uint64_t kTimeoutMsMax = uint64_t{1000} * 3600 * 24 * 365;

// Lends a mutex that the caller already holds to a wait, which gives it back held.
class BorrowedLock {
 public:
  explicit BorrowedLock(std::mutex& mutex) : lock_(mutex, std::adopt_lock) {}
  ~BorrowedLock() { lock_.release(); }
  BorrowedLock(const BorrowedLock&) = delete;
  BorrowedLock& operator=(const BorrowedLock&) = delete;
  std::unique_lock<std::mutex>& get() { return lock_; }

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace

void CondVar::wait(Mutex& mutex) {
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) {
    // unlock() has no scheduling point, so no notify can fall between it and block_on.
    mutex.unlock();
    schedule::block_on(this);
    mutex.lock();
    return;
  }
#endif
  about_to_block();
  BorrowedLock lock(mutex.mutex_);
  condition_.wait(lock.get());
}

bool CondVar::wait_for(Mutex& mutex, uint64_t timeout_ms) {
  return wait_for_us(mutex, std::min(timeout_ms, kTimeoutMsMax) * 1000);
}

bool CondVar::wait_for_us(Mutex& mutex, uint64_t timeout_us) {
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) {
    mutex.unlock();
    schedule::yield();
    mutex.lock();
    return schedule::choose(2) == 0;
  }
#endif
  about_to_block();
  BorrowedLock lock(mutex.mutex_);
  const auto timeout = std::chrono::microseconds(std::min(timeout_us, kTimeoutMsMax * 1000));
  return condition_.wait_for(lock.get(), timeout) == std::cv_status::no_timeout;
}

void CondVar::notify_one() {
  condition_.notify_one();
#ifdef SCALEFS_SCHEDULE
  // Wakes all: for the waiters but one it is a spurious wake-up.
  SCALEFS_SCHED_POINT();
  schedule::unblock(this);
#endif
}

void CondVar::notify_all() {
  condition_.notify_all();
#ifdef SCALEFS_SCHEDULE
  SCALEFS_SCHED_POINT();
  schedule::unblock(this);
#endif
}

void give_way() {
#ifdef SCALEFS_SCHEDULE
  schedule::yield();
#else
  ::sched_yield();
#endif
}

void SpinBit::lock_slow() {
#ifdef SCALEFS_SCHEDULE
  while (held_.exchange(1, std::memory_order_acquire) != 0)  // pairs with unlock
    schedule::block_on(this);
#else
  constexpr int kSpins = 64;  // about a microsecond; a longer hold means that the holder sleeps
  for (;;) {
    for (int i = 0; i < kSpins; ++i) {
      // The relaxed look keeps the line shared while the lock is held.
      if (!held() && held_.exchange(1, std::memory_order_acquire) == 0)
        return;  // pairs with unlock
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
    ::sched_yield();
  }
#endif
}

void SleepBit::lock_slow() {
#ifdef SCALEFS_SCHEDULE
  while (!try_lock()) schedule::block_on(this);
#else
  // Awaited from here on: whoever waited with us is not forgotten when we unlock.
  while (state_.exchange(2, std::memory_order_seq_cst) != 0)
    state_.wait(2, std::memory_order_relaxed);
#endif
}

void SleepBit::wake() { state_.notify_one(); }

}  // namespace scalefs
