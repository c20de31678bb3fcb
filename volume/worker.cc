#include "volume/worker.h"

#include <unistd.h>

#include <new>

#include "base/clock.h"

namespace scalefs::volume {

namespace {

// How long a worker rests that has met the end of memory.
constexpr uint64_t kNoMemoryMs = 1000;

}  // namespace

void Worker::start(Body body, int nice) {
  thread_ = std::thread([this, body = std::move(body), nice] { run(body, nice); });
}

void Worker::run(const Body& body, int nice) {
  // Of this thread alone on Linux, and not refused to who asks for less.
  if (nice != 0) (void)::nice(nice);
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
    try {
      wait_ms = body(woken);
    } catch (const std::bad_alloc&) {
      wait_ms = kNoMemoryMs;
    }
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
