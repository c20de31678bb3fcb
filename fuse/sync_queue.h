// Requests that wait for Volume::sync(): it can take as long as writing all dirty pages does, so it
// runs on a thread of its own and no worker of a transport waits for it. Whatever had gathered when
// a sync begins is answered by that one.
//
// Thread safety: request() from any thread. finish(), or else the destructor, answers what is queued;
// no request may come any more.
#pragma once

#include <thread>
#include <vector>

#include "base/mutex.h"
#include "fuse/request.h"
#include "volume/volume.h"

namespace scalefs::fuse {

class SyncQueue {
 public:
  explicit SyncQueue(volume::Volume& volume);
  ~SyncQueue();
  SyncQueue(const SyncQueue&) = delete;
  SyncQueue& operator=(const SyncQueue&) = delete;

  void request(Responder reply);
  void finish();

 private:
  void run();

  volume::Volume& volume_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<Responder> waiting_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace scalefs::fuse
