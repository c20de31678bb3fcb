// Threads that take turns at one source of requests (a ring, a channel of /dev/fuse). One drives: it takes a request, serves
// it, and takes the next. About to block in one (base/blocking.h) it gives the source to another of the threads, which is made
// when none is idle, up to `threads_max`; then it serves its request to the end and becomes idle. So a call that waits (for
// a commit, for a page) holds up only itself.
//
// Life: start(); stop(), which waits for the requests that are being served; destructor. Its threads take no signals but
// `wake_signal`.
//
// Locks: mutex_ is a leaf; it is not held while a request is served.
#pragma once

#include <optional>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "base/blocking.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/result.h"

namespace scalefs::fuse {

// Who decodes requests. `request` is writable memory: header, and what follows it, in one piece, until the
// reply if it came by a ring, else until serve() returns.
class RequestHandler {
 public:
  virtual void serve(Bytes request) = 0;

 protected:
  ~RequestHandler() = default;
};

// What is driven, by one thread at a time.
class RelaySource {
 public:
  // Until the relay stops (true), or a Turn has given the source away (false).
  virtual bool drive() = 0;
  // On the thread that drives, before another one does.
  virtual void before_giving() {}

 protected:
  ~RelaySource() = default;
};

class Relay final : private BlockingHook {
 public:
  struct Config {
    std::optional<unsigned> pinned;  // the processor that the threads run on
    unsigned threads_max = 1;
    const char* name = "";
    int wake_signal = 0;  // ends a system call in which drive() waits; 0: the source has a way of its own
  };
  // The source outlives the relay.
  Relay(RelaySource& source, const Config& config) : source_(source), config_(config) {}
  ~Relay() { stop(); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // EAGAIN: no thread can be made.
  Status start();
  // From any thread: the threads end by and by.
  void end();
  // Waits for that. Not by the relay's own threads.
  void stop();
  // seq_cst: a driver that is about to wait looks at it behind its word that it waits.
  bool stopping() const { return stopping_.load(seq_cst); }
  // Waits until end() was called.
  void wait_for_end();

  // While the driver serves a request.
  class Turn {
   public:
    explicit Turn(Relay& relay);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // False: another thread drives by now.
    bool drives() const { return drives_; }

   private:
    bool drives_ = true;
  };

 private:
  void run_thread();
  Status add_thread() REQUIRES(mutex_);
  void about_to_block() override;

  RelaySource& source_;
  const Config config_;
  Mutex mutex_;
  CondVar idle_wait_;
  CondVar ended_wait_;
  bool driven_ GUARDED_BY(mutex_) = false;
  unsigned idle_ GUARDED_BY(mutex_) = 0;
  unsigned running_ GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_ GUARDED_BY(mutex_);
  Atomic<bool> stopping_{false};
};

}  // namespace scalefs::fuse
