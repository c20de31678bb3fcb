// Signals as calls on a thread of its own. Blocked everywhere else: construct before any other
// thread is started, so that they inherit the mask.
#pragma once

#include <functional>
#include <thread>

#include "base/result.h"

namespace scalefs::fuse {

class Signals {
 public:
  // `handler` is called with SIGTERM, SIGINT, SIGHUP or SIGUSR1, one at a time.
  explicit Signals(std::function<void(int signal)> handler);
  ~Signals();  // waits for a handler that is running
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Blocks these signals in the calling thread, for the threads that it makes. The constructor does, too.
  static void block();

  // EMFILE, ENOMEM: no signal will be seen.
  Status status() const { return status_; }

 private:
  void run();

  std::function<void(int)> handler_;
  int signals_ = -1;
  int stop_ = -1;
  Status status_;
  std::thread thread_;
};

}  // namespace scalefs::fuse
