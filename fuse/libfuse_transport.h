// The way to the kernel, with libfuse (Debian 12's 3.14) as the decoder of requests. Two transports: a ring a
// processor (fuse/ring.h), where the kernel offers it and the options do not forbid it; else libfuse's own
// multi-threaded loop over /dev/fuse. With rings one thread still reads /dev/fuse: INIT, FORGET and INTERRUPT come
// there, and whatever the kernel sends before or without rings. After FORGETs it naps, so that the kernel gathers them.
//
// libfuse decodes requests and encodes replies, except where its version falls short: the two hooks
// of fuse_session_custom_io see the raw bytes. There the reply to INIT gets the flags that 3.14
// drops (parallel directory operations, HANDLE_KILLPRIV_V2), the per-request flags that it does not
// pass on are read (open_flags, write_flags), and requests that it does not know are served
// (TMPFILE, STATX; raw_requests.h). Requests that are shorter than they claim do not get further
// (request_check.h).
//
// Life: create, mount, serve (until the mount is gone or stop() was called), unmount, destructor.
// Parked requests must have been answered before the destructor runs.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <memory>
#include <string>

#include "base/atomic.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/file_system.h"
#include "fuse/request_stats.h"
#include "fuse/rings.h"
#include "fuse/transport_options.h"

struct fuse_session;
struct fuse_conn_info;

namespace scalefs::fuse {

class LibfuseTransport final : private RingHandler {
 public:
  // EINVAL: an option that libfuse does not take; it has printed which.
  static Result<std::unique_ptr<LibfuseTransport>> create(FileSystem& file_system,
                                                          TransportOptions options);
  ~LibfuseTransport();
  LibfuseTransport(const LibfuseTransport&) = delete;
  LibfuseTransport& operator=(const LibfuseTransport&) = delete;

  // libfuse prints the reason of a failure.
  Status mount(const std::string& mountpoint);
  // Serves until the file system is unmounted or stop() is called. EIO: the loop could not run.
  Status serve();
  // One request, which came by a ring or which a test made up, on the calling thread.
  void serve(Bytes request) override;
  // Takes the mount away if it still is there, also a busy one; replies that come later go nowhere. After
  // serve() only.
  void unmount();
  // The same where somebody else has taken the mount away: users of one that was busy get errors.
  void let_go();
  // Ends serve() though the mount may be busy, and waits for its end; any thread but those of the
  // loop. Whoever still uses the mount gets errors.
  void stop();

  // The kernel is to ask for this object's attributes again; what it has of its data stays.
  void forget_attributes(MnodeNo mnode);

  FileSystem& file_system() { return file_system_; }
  RequestStats& stats() { return stats_; }
  bool over_rings() const { return rings_used_; }
  // Damage was found on the way to this object (0: not known), and the caller is told so.
  void note_damage(uint64_t node);
  bool strict_open() const { return options_.strict_open; }

 private:
  LibfuseTransport(FileSystem& file_system, TransportOptions options);
  static ssize_t read_hook(int fd, void* buffer, size_t size, void* self);
  static ssize_t write_hook(int fd, iovec* parts, int count, void* self);
  ssize_t answer_init(int fd, iovec* parts, int count);
  void prepare_rings();
  void start_rings();
  void say_transport();
  // Whether the request is libfuse's to serve; another one has been dealt with.
  bool admit(int fd, Bytes* request);
  void note_init(ConstBytes request);
  Status run_loop();
  // Reads /dev/fuse alone, until INIT is done or (then also) to the end.
  Status read_requests(bool to_the_end);
  Status run_workers();

  FileSystem& file_system_;
  const TransportOptions options_;
  RequestStats stats_;
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
  uint64_t init_offered_ = 0;
  std::unique_ptr<Rings> rings_;   // null: none; set before INIT
  Atomic<bool> setxattr_ext_{false};  // SETXATTR comes in its long form
  bool rings_used_ = false;        // the kernel was told so
  uint32_t last_opcode_ = 0;       // of the thread of read_requests
};

}  // namespace scalefs::fuse
