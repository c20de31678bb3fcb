// The way to the kernel where it offers no rings: a channel of the connection for each processor (FUSE_DEV_IOC_CLONE), that is,
// a descriptor of /dev/fuse of its own with the requests that were read from it, and threads pinned to the processor that take
// turns at reading it (fuse/relay.h). The kernel has one queue for all of them.
//
// Life: create, start, wait, stop, close, destructor. Replies may come until close(), and go nowhere after it.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"
#include "fuse/relay.h"

namespace scalefs::fuse {

class Channels {
 public:
  struct Config {
    int fuse_fd = -1;       // INIT has been answered on it
    unsigned threads = 1;   // at the most, of all
    int wake_signal = 0;    // has a handler, and restarts no system call
  };
  // The handler outlives the channels.
  Channels(RequestHandler& handler, const Config& config);
  ~Channels();
  Channels(const Channels&) = delete;
  Channels& operator=(const Channels&) = delete;

  // EAGAIN: no thread can be made. Then stop().
  Status start();
  // Until the connection has ended, or end() was called. What reading said, if it is no end.
  Status wait();
  // From any thread.
  void end();
  // Waits for the requests that are being served.
  void stop();
  void close();

 private:
  class Channel;
  RequestHandler& handler_;
  std::vector<std::unique_ptr<Channel>> all_;
};

// Keeps the descriptor's number taken for who still writes to it; what it stands for is closed, and the writes go nowhere.
void lead_nowhere(int fd);
// Reads one request into `to`. 0: the connection has ended. EAGAIN: there is none now.
Result<size_t> read_request(int fd, Bytes to);
// The calling thread's, with room for every request. Empty: no memory.
Bytes request_buffer();

}  // namespace scalefs::fuse
