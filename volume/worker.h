// A thread that runs a body again and again: when the time that the body asked for is over, or when it is
// woken; a while later where it has thrown std::bad_alloc. stop() ends it after the body that runs now, and joins.
//
// A worker whose body computes for milliseconds should be nicer than the threads that serve calls: on a processor that
// it shares with them it would keep them waiting for as long at a time.
//
// wake() may be called by any thread, also under locks that the body takes: it only sets a flag under
// the worker's own leaf mutex.
#pragma once

#include <functional>
#include <thread>

#include "base/mutex.h"

namespace scalefs::volume {

// How long the maintenance thread of a volume rests while objects wait for it, and while none does.
inline constexpr uint64_t kMaintenanceBusyMs = 20;
inline constexpr uint64_t kMaintenanceIdleMs = 500;

class Worker {
 public:
  // Answers after how many milliseconds it wants to run again. `woken`: somebody called wake().
  using Body = std::function<uint64_t(bool woken)>;

  Worker() = default;
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // `nice`: added to that of the caller, 0..19 (nice(2)).
  void start(Body body, int nice = 0);
  void wake();
  void stop();
  bool stopping() const;

 private:
  void run(const Body& body, int nice);

  mutable Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace scalefs::volume
