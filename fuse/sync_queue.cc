#include "fuse/sync_queue.h"

#include <new>

namespace scalefs::fuse {

SyncQueue::SyncQueue(volume::Volume& volume) : volume_(volume), thread_([this] { run(); }) {}

SyncQueue::~SyncQueue() { finish(); }

void SyncQueue::finish() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SyncQueue::request(Responder reply) {
  {
    MutexLock lock(mutex_);
    SCALEFS_CHECK(!stopping_);
    waiting_.push_back(std::move(reply));
  }
  changed_.notify_one();
}

void SyncQueue::run() {
  for (;;) {
    std::vector<Responder> batch;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      if (waiting_.empty()) return;
      batch.swap(waiting_);
    }
    int code = ENOMEM;
    try {
      code = volume_.sync().code();
    } catch (const std::bad_alloc&) {
      // The requests learn of it; what was dirty still is.
    }
    for (Responder& reply : batch) reply.error(code);
  }
}

}  // namespace scalefs::fuse
