// A ring: the second transport's way to the kernel for the requests of one processor, FUSE over io_uring (Linux 6.14;
// fuse/ring_protocol.h). The kernel puts a request into an entry of the processor on which it was made, and takes the
// reply from there; neither goes through /dev/fuse, and the daemon's thread for it runs on the same processor.
//
// Life: create before INIT is answered, since from then on every request waits until every queue has an
// entry; start() after; stop(); destructor. Replies may come until the destructor, and go nowhere after stop().
//
// Threads. One thread drives the ring: it commits replies, takes requests, and serves each before it takes the
// next. About to block in one (base/blocking.h) it gives the ring to another of its threads, which is made
// when none is idle, up to `threads_max`; then it serves its request to the end and becomes idle. So a call that
// waits (for a commit, for a page) holds up only itself. What the kernel has assigned to an entry that the
// blocked thread had submitted may still wait for that thread, but no longer than for a device.
//
// An entry is the kernel's from the submission of its command to the completion, and the daemon's from there to
// its next submission. Only the driver submits. A reply by the thread that serves the request is committed when the
// request has been served; one by another thread, or by one that gave the ring away, is handed to the driver
// (commit_later). The order: submit what is there, look, and only then sleep, so that clients are woken
// before the thread knows whether it has to wait.
//
// Locks: mutex_ (who drives), returned_lock_. Both are leaves; neither is held while a request is served or
// in a system call that waits.
#pragma once

#include <liburing.h>
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/ring_protocol.h"

namespace scalefs::fuse {

class Ring;
struct RingEntry;

// Who decodes requests. `request` is writable memory: header, and what follows it, in one piece; it is the
// entry's until the reply.
class RingHandler {
 public:
  virtual void serve(Bytes request) = 0;

 protected:
  ~RingHandler() = default;
};

// A request that came by a ring; null: by /dev/fuse.
struct RingTarget {
  RingEntry* entry = nullptr;
  uint64_t unique = 0;
};
// That which this thread serves at the moment.
RingTarget current_ring_target();
// Where its reply may be made in place, if there is room for `bytes` (else empty). What the request
// carried behind its header stands there too.
Bytes ring_payload(const RingTarget& target, size_t bytes);

// While it lives, what this thread sends is the reply to `target`, whichever request the thread serves.
class RingAnswer {
 public:
  explicit RingAnswer(const RingTarget& target);
  ~RingAnswer();
  RingAnswer(const RingAnswer&) = delete;
  RingAnswer& operator=(const RingAnswer&) = delete;

 private:
  const RingTarget* before_;
};
// Takes a reply, of which the first part is the fuse_out_header, if it is for the request that this thread
// answers (RingAnswer) or serves. False: it belongs to /dev/fuse.
bool answer_on_ring(const iovec* parts, int count);

class Ring final : private BlockingHook {
 public:
  struct Config {
    int fuse_fd = -1;                // open until stop()
    std::vector<uint16_t> queues;    // processors whose requests it takes
    std::optional<unsigned> pinned;  // the processor that its threads run on
    unsigned depth = 0;              // entries of each queue
    size_t payload_bytes = 0;        // at least what the connection may send at once
    unsigned threads_max = 0;
  };
  // ENOMEM, EPERM and what io_uring_setup(2) says. The handler outlives the ring.
  static Result<std::unique_ptr<Ring>> create(RingHandler& handler, const Config& config);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // EAGAIN: no thread can be made.
  Status start();
  // Waits for the requests that are being served. Not by the ring's threads.
  void stop();

 private:
  friend struct RingEntry;
  friend bool answer_on_ring(const iovec* parts, int count);
  struct Call;

  Ring(RingHandler& handler, const Config& config);
  Status set_up();
  void make_entries();
  Status add_thread() REQUIRES(mutex_);
  void run_thread();
  // Until the ring was given away or is stopped.
  void drive();
  void queue_command(RingEntry& entry, uint32_t command);
  void queue_wake_read();
  void commit_returned();
  bool has_returned();
  // Serves one request. False: another thread drives now.
  bool serve(RingEntry& entry);
  bool complete(uint64_t user_data, int result);
  void commit_later(RingEntry& entry);
  void wake();
  void about_to_block() override;

  RingHandler& handler_;
  const Config config_;
  io_uring ring_ = {};
  bool has_ring_ = false;
  int wake_fd_ = -1;
  uint64_t wake_count_ = 0;  // what is read from it
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  std::vector<RingEntry> entries_;
  bool registered_ = false;  // the driver's

  Mutex mutex_;
  CondVar idle_wait_;
  bool driven_ GUARDED_BY(mutex_) = false;
  unsigned idle_ GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_ GUARDED_BY(mutex_);
  Atomic<bool> stopping_{false};
  // The driver sleeps, or is about to: who returns an entry wakes it. seq_cst on both sides.
  Atomic<bool> sleeping_{false};
  SpinBit returned_lock_;
  std::vector<RingEntry*> returned_ GUARDED_BY(returned_lock_);  // answered, by others than the driver
};

}  // namespace scalefs::fuse
