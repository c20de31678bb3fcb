// The first transport: libfuse's own multi-threaded loop over /dev/fuse (Debian 12's 3.14).
//
// libfuse decodes requests and encodes replies, except where its version falls short: the two hooks
// of fuse_session_custom_io see the raw bytes. There the reply to INIT gets the flags that 3.14
// drops (parallel directory operations, HANDLE_KILLPRIV_V2), the per-request flags that it does not
// pass on are read (open_flags, write_flags), and requests that it does not know are served
// (TMPFILE, STATX; raw_requests.h).
//
// Life: create, mount, serve (until the mount is gone or stop() was called), unmount, destructor.
// Parked requests must have been answered before the destructor runs.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/operations.h"

struct fuse_session;
struct fuse_conn_info;

namespace scalefs::fuse {

struct TransportOptions {
  std::vector<std::string> mount_options;  // libfuse's and the kernel's, one each
  unsigned threads = 0;                    // 0: by the number of cores
  bool clone_fd = false;
  bool debug = false;  // libfuse prints every request
  // Called once, on a worker, when the kernel has been told that the file system is there.
  std::function<void()> on_ready;
};

class LibfuseTransport {
 public:
  // EINVAL: an option that libfuse does not take; it has printed which.
  static Result<std::unique_ptr<LibfuseTransport>> create(Operations& operations,
                                                          TransportOptions options);
  ~LibfuseTransport();
  LibfuseTransport(const LibfuseTransport&) = delete;
  LibfuseTransport& operator=(const LibfuseTransport&) = delete;

  // libfuse prints the reason of a failure.
  Status mount(const std::string& mountpoint);
  // Serves until the file system is unmounted or stop() is called. EIO: the loop could not run.
  Status serve();
  // Takes the mount away if it still is there, also a busy one; replies that come later go nowhere. After
  // serve() only.
  void unmount();
  // Ends serve() though the mount may be busy, and waits for its end; any thread but those of the
  // loop. Whoever still uses the mount gets errors.
  void stop();

  Operations& operations() { return operations_; }

 private:
  LibfuseTransport(Operations& operations, TransportOptions options);
  static ssize_t read_hook(int fd, void* buffer, size_t size, void* self);
  static ssize_t write_hook(int fd, iovec* parts, int count, void* self);
  ssize_t answer_init(int fd, iovec* parts, int count);
  Status run_loop();

  Operations& operations_;
  const TransportOptions options_;
  fuse_session* session_ = nullptr;
  bool mounted_ = false;

  Mutex serving_mutex_;
  CondVar served_;
  bool serving_ GUARDED_BY(serving_mutex_) = false;
  pthread_t server_ GUARDED_BY(serving_mutex_) = {};

  // INIT is the first request and is served by the only thread there is then; the flag tells later
  // threads, which start after it, that there is nothing to look for.
  Atomic<bool> init_done_{false};
  uint64_t init_unique_ = 0;
  uint32_t init_offered_ = 0;
};

}  // namespace scalefs::fuse
