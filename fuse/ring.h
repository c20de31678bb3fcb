// A ring: the second transport's way to the kernel for the requests of one processor, FUSE over io_uring (Linux 6.14;
// fuse/ring_protocol.h). The kernel puts a request into an entry of the processor on which it was made, and takes the
// reply from there; neither goes through /dev/fuse, and the daemon's thread for it runs on the same processor.
//
// Life: create before INIT is answered, since from then on every request waits until every queue has an
// entry; start() after; stop(); destructor. Replies may come until the destructor, and go nowhere after stop().
//
// Threads. One thread drives the ring: it commits replies, takes requests, and serves each before it takes the
// next; about to block in one it gives the ring away (fuse/relay.h). What the kernel has assigned to an entry that the
// blocked thread had submitted may still wait for that thread, but no longer than for a device.
//
// An entry is the kernel's from the submission of its command to the completion, and the daemon's from there to
// its next submission. Only the driver submits. A reply by the thread that serves the request is committed when the
// request has been served; one by another thread, or by one that gave the ring away, is handed to the driver
// (commit_later). The order: submit what is there, look, and only then sleep, so that clients are woken
// before the thread knows whether it has to wait.
//
// Locks: the relay's, returned_lock_. Both are leaves; neither is held while a request is served or
// in a system call that waits.
#pragma once

#include <liburing.h>
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/wake_batch.h"
#include "fuse/relay.h"
#include "fuse/reply_target.h"
#include "fuse/ring_protocol.h"

namespace scalefs::fuse {

class Ring;
// Where the reply may be made in place, if the request came by a ring and there is room for `bytes` (else empty). What the
// request carried behind its header stands there too.
Bytes ring_payload(const ReplyTarget& target, size_t bytes);

// Takes a reply, of which the first part is the fuse_out_header, if it is for the request that this thread
// answers or serves (answered_target()), and that came by a ring. False: it belongs to /dev/fuse.
bool answer_on_ring(const iovec* parts, int count);

class Ring final : private RelaySource, private WakeTarget {
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
  static Result<std::unique_ptr<Ring>> create(RequestHandler& handler, const Config& config);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // EAGAIN: no thread can be made.
  Status start();
  // Waits for the requests that are being served, and lets the kernel's connection go: whoever still waits for an answer
  // of it gets an error once the last descriptor is closed. Not by the ring's threads.
  void stop();

 private:
  friend struct RingEntry;
  friend bool answer_on_ring(const iovec* parts, int count);
  struct Call;

  Ring(RequestHandler& handler, const Config& config);
  Status set_up();
  void make_entries();
  bool drive() override;
  void queue_command(RingEntry& entry, uint32_t command);
  void queue_wake_read();
  void commit_returned();
  bool has_returned();
  // Serves one request. False: another thread drives now.
  bool serve(RingEntry& entry);
  bool complete(uint64_t user_data, int result);
  void commit_later(RingEntry& entry);
  void wake();
  void wake_now() override;
  std::optional<unsigned> processor() const override { return config_.pinned; }
  void before_giving() override { io_uring_submit(&ring_); }  // replies that clients wait for

  RequestHandler& handler_;
  const Config config_;
  Relay relay_;
  io_uring ring_ = {};
  bool has_ring_ = false;
  int wake_fd_ = -1;
  uint64_t wake_count_ = 0;  // what is read from it
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  std::vector<RingEntry> entries_;
  bool registered_ = false;  // the driver's

  // The driver sleeps, or is about to: who returns an entry wakes it. seq_cst on both sides.
  Atomic<bool> sleeping_{false};
  SpinBit returned_lock_;
  std::vector<RingEntry*> returned_ GUARDED_BY(returned_lock_);  // answered, by others than the driver
};

}  // namespace scalefs::fuse
