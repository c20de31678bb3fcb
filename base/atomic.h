// Atomic<T>: std::atomic with the memory order always spelled out, and a scheduling point before
// every access in the schedule build (SCALEFS_SCHEDULE), where threads run one at a time in a
// seeded order (base/schedule.h). Every use says in a comment which access it pairs with.
#pragma once

#include <atomic>
#include <cstdint>

#ifdef SCALEFS_SCHEDULE
#include "base/schedule.h"
#define SCALEFS_SCHED_POINT() ::scalefs::schedule::point()
#else
#define SCALEFS_SCHED_POINT() ((void)0)
#endif

namespace scalefs {

inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;
inline constexpr auto seq_cst = std::memory_order_seq_cst;

template <class T>
class Atomic {
 public:
  constexpr Atomic() noexcept : value_() {}
  constexpr Atomic(T value) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order order) const noexcept {
    SCALEFS_SCHED_POINT();
    return value_.load(order);
  }
  void store(T value, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    value_.store(value, order);
  }
  T exchange(T value, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.exchange(value, order);
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T delta, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.fetch_add(delta, order);
  }
  T fetch_sub(T delta, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.fetch_sub(delta, order);
  }
  T fetch_or(T bits, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.fetch_or(bits, order);
  }
  T fetch_and(T bits, std::memory_order order) noexcept {
    SCALEFS_SCHED_POINT();
    return value_.fetch_and(bits, order);
  }

 private:
  std::atomic<T> value_;
};

// A statistic that guards nothing; a bare relaxed order anywhere else is suspicious.
class RelaxedCounter {
 public:
  void add(uint64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void sub(uint64_t n) { value_.fetch_sub(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace scalefs
