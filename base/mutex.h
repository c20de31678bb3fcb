// The only locks of the project. Mutex sleeps (std::mutex inside); SharedMutex is a sleeping
// reader-writer lock; SpinBit is a one-byte lock for critical sections of some tens of
// instructions that spins a little and then yields; SleepBit is a one-byte lock that sleeps, for a lock
// an item where the items are many. In the schedule build each of them blocks in
// the seeded scheduler instead. None is recursive.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

#include "base/atomic.h"
#include "base/thread_annotations.h"

namespace scalefs {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() {
#ifdef SCALEFS_SCHEDULE
    SCALEFS_SCHED_POINT();
    while (!mutex_.try_lock()) schedule::block_on(this);
#else
    mutex_.lock();
#endif
  }
  bool try_lock() TRY_ACQUIRE(true) {
    SCALEFS_SCHED_POINT();
    return mutex_.try_lock();
  }
  void unlock() RELEASE() {
    mutex_.unlock();
#ifdef SCALEFS_SCHEDULE
    schedule::unblock(this);
#endif
  }
  // For the analysis: the caller holds it, which what it was called with says.
  void assert_held() const ASSERT_CAPABILITY(this) {}

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits for a condition protected by a Mutex. Spurious wake-ups happen: wait in a loop.
class CondVar {
 public:
  // Releases `mutex` while waiting and holds it again on return.
  void wait(Mutex& mutex) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS;
  // The same, for `timeout_ms` milliseconds at the most; false when the time ran out.
  bool wait_for(Mutex& mutex, uint64_t timeout_ms) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS;
  bool wait_for_us(Mutex& mutex, uint64_t timeout_us) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS;
  void notify_one();
  void notify_all();

 private:
  std::condition_variable condition_;
};

class CAPABILITY("shared mutex") SharedMutex {
 public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() ACQUIRE() {
#ifdef SCALEFS_SCHEDULE
    SCALEFS_SCHED_POINT();
    while (!mutex_.try_lock()) schedule::block_on(this);
#else
    mutex_.lock();
#endif
  }
  bool try_lock() TRY_ACQUIRE(true) {
    SCALEFS_SCHED_POINT();
    return mutex_.try_lock();
  }
  void unlock() RELEASE() {
    mutex_.unlock();
#ifdef SCALEFS_SCHEDULE
    schedule::unblock(this);
#endif
  }
  void lock_shared() ACQUIRE_SHARED() {
#ifdef SCALEFS_SCHEDULE
    SCALEFS_SCHED_POINT();
    while (!mutex_.try_lock_shared()) schedule::block_on(this);
#else
    mutex_.lock_shared();
#endif
  }
  void unlock_shared() RELEASE_SHARED() {
    mutex_.unlock_shared();
#ifdef SCALEFS_SCHEDULE
    schedule::unblock(this);
#endif
  }

 private:
  std::shared_mutex mutex_;
};

class SCOPED_CAPABILITY ExclusiveLock {
 public:
  explicit ExclusiveLock(SharedMutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~ExclusiveLock() RELEASE() { mutex_.unlock(); }
  ExclusiveLock(const ExclusiveLock&) = delete;
  ExclusiveLock& operator=(const ExclusiveLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class SCOPED_CAPABILITY SharedLock {
 public:
  explicit SharedLock(SharedMutex& mutex) ACQUIRE_SHARED(mutex) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~SharedLock() RELEASE_GENERIC() { mutex_.unlock_shared(); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  SharedMutex& mutex_;
};

// For one who will try again, and holds no spin lock: lets others run.
void give_way();

// One byte; 0 when free, so that zeroed memory is an unlocked lock. Never held across anything
// that can sleep.
class CAPABILITY("spin lock") SpinBit {
 public:
  SpinBit() = default;
  SpinBit(const SpinBit&) = delete;
  SpinBit& operator=(const SpinBit&) = delete;

  bool try_lock() TRY_ACQUIRE(true) {
    SCALEFS_SCHED_POINT();
    return held_.exchange(1, std::memory_order_acquire) == 0;  // pairs with unlock
  }
  void lock() ACQUIRE() {
    if (!try_lock()) lock_slow();
  }
  void unlock() RELEASE() {
    held_.store(0, std::memory_order_release);  // pairs with try_lock
#ifdef SCALEFS_SCHEDULE
    schedule::unblock(this);
#endif
  }
  bool held() const { return held_.load(std::memory_order_relaxed) != 0; }

 private:
  void lock_slow() NO_THREAD_SAFETY_ANALYSIS;
  std::atomic<uint8_t> held_{0};
};

// One byte; 0 when free. May be held across whatever a Mutex may be held across. Free, held, or held and
// perhaps awaited (Drepper, "Futexes are tricky", 2011, section 5): without contention nobody enters the kernel.
class CAPABILITY("sleep bit") SleepBit {
 public:
  SleepBit() = default;
  SleepBit(const SleepBit&) = delete;
  SleepBit& operator=(const SleepBit&) = delete;

  // seq_cst: who takes the lock and then looks at another word, and who writes that word and then calls held(),
  // do not both miss each other.
  bool try_lock() TRY_ACQUIRE(true) {
    SCALEFS_SCHED_POINT();
    uint8_t free = 0;
    return state_.compare_exchange_strong(free, 1, std::memory_order_seq_cst,
                                          std::memory_order_relaxed);
  }
  void lock() ACQUIRE() {
    if (!try_lock()) lock_slow();
  }
  void unlock() RELEASE() {
    if (state_.exchange(0, std::memory_order_release) == 2) wake();  // pairs with try_lock
#ifdef SCALEFS_SCHEDULE
    schedule::unblock(this);
#endif
  }
  bool held() const {
    SCALEFS_SCHED_POINT();
    return state_.load(std::memory_order_seq_cst) != 0;
  }

 private:
  void lock_slow() NO_THREAD_SAFETY_ANALYSIS;
  void wake();
  std::atomic<uint8_t> state_{0};
};

class SCOPED_CAPABILITY SleepLock {
 public:
  explicit SleepLock(SleepBit& bit) ACQUIRE(bit) : bit_(bit) { bit_.lock(); }
  ~SleepLock() RELEASE() { bit_.unlock(); }
  SleepLock(const SleepLock&) = delete;
  SleepLock& operator=(const SleepLock&) = delete;

 private:
  SleepBit& bit_;
};

class SCOPED_CAPABILITY SpinLock {
 public:
  explicit SpinLock(SpinBit& bit) ACQUIRE(bit) : bit_(bit) { bit_.lock(); }
  ~SpinLock() RELEASE() { bit_.unlock(); }
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

 private:
  SpinBit& bit_;
};

}  // namespace scalefs
