#include "volume/worker.h"

#include "base/clock.h"

namespace scalefs::volume {

void Worker::start(Body body) {
  thread_ = std::thread([this, body = std::move(body)] { run(body); });
}

void Worker::run(const Body& body) {
  uint64_t wait_ms = 0;
  while (true) {
    bool woken = false;
    {
      MutexLock lock(mutex_);
      const uint64_t deadline = monotonic_ms() + wait_ms;
      while (!woken_ && !stopping_) {
        const uint64_t now = monotonic_ms();
        if (now >= deadline) break;
        changed_.wait_for(mutex_, deadline - now);
      }
      if (stopping_) return;
      woken = woken_;
      woken_ = false;
    }
    wait_ms = body(woken);
  }
}

void Worker::wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void Worker::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

bool Worker::stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

}  // namespace scalefs::volume
