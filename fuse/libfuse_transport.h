// The way to the kernel, with libfuse (Debian 12's 3.14) for the mount, INIT, and some requests. Two transports: a ring a
// processor (fuse/ring.h), where the kernel offers it and the options do not forbid it; else a channel a processor
// (fuse/channels.h). With rings one thread still reads /dev/fuse: INIT, FORGET and INTERRUPT come
// there, and whatever the kernel sends before or without rings. After FORGETs it naps, so that the kernel gathers them.
//
// libfuse decodes the requests that come seldom; the others, and those that it does not know, are ours to decode
// (direct_requests.h): the two hooks of fuse_session_custom_io see the raw bytes. There the reply to INIT gets the flags that
// 3.14 drops (parallel directory operations, HANDLE_KILLPRIV_V2), and the flags of a request that it does not
// pass on are read (raw_requests.h). Requests that are shorter than they claim do not get further (request_check.h).
//
// Life: create, mount, serve (until the mount is gone or stop() was called), unmount, destructor.
// Parked requests must have been answered before the destructor runs.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/atomic.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/channels.h"
#include "fuse/direct_requests.h"
#include "fuse/file_system.h"
#include "fuse/request_stats.h"
#include "fuse/rings.h"
#include "fuse/transport_options.h"

struct fuse_in_header;
struct fuse_session;
struct fuse_conn_info;

namespace scalefs::fuse {

class LibfuseTransport final : private RequestHandler, private ReplySink {
 public:
  // EINVAL: an option that libfuse does not take; it has printed which.
  static Result<std::unique_ptr<LibfuseTransport>> create(FileSystem& file_system,
                                                          TransportOptions options);
  ~LibfuseTransport();
  LibfuseTransport(const LibfuseTransport&) = delete;
  LibfuseTransport& operator=(const LibfuseTransport&) = delete;

  // libfuse prints the reason of a failure.
  Status mount(const std::string& mountpoint);
  // Serves until the file system is unmounted or stop() is called. Errors: no thread (EAGAIN) or memory (ENOMEM) to begin
  // with, or what reading the kernel's requests said. Then nobody serves, and the mount is still there: let_go().
  Status serve();
  // One request, which came by a ring or which a test made up, on the calling thread.
  void serve(Bytes request) override;
  // Takes the mount away if it still is there, also a busy one; replies that come later go nowhere. After
  // serve() only.
  void unmount();
  // The same where somebody else has taken the mount away, or is about to: whoever uses it gets errors.
  void let_go();
  // Ends serve() though the mount may be busy, and waits for its end; any thread but those of the
  // loop. Whoever still uses the mount gets errors.
  void stop();

  // The kernel is to ask for this object's attributes again; what it has of its data stays.
  void forget_attributes(MnodeNo mnode);

  FileSystem& file_system() { return file_system_; }
  RequestStats& stats() { return stats_; }
  bool over_rings() const { return rings_used_; }
  void note_answer(uint32_t opcode, uint64_t since, uint64_t node, int code) override {
    stats_.note(opcode, since);
    if (code == EUCLEAN) [[unlikely]] note_damage(node);
  }
  bool strict_open() const { return options_.strict_open; }
  bool writeback_cache() const { return options_.writeback_cache; }
  // The kernel lets the file system go.
  void end() {
    if (options_.on_end) options_.on_end();
  }

 private:
  LibfuseTransport(FileSystem& file_system, TransportOptions options);
  static ssize_t read_hook(int fd, void* buffer, size_t size, void* self);
  static ssize_t write_hook(int fd, iovec* parts, int count, void* self);
  ssize_t answer_init(int fd, iovec* parts, int count);
  void prepare_rings();
  // Damage was found on the way to this object (0: not known), and the caller is told so.
  void note_damage(uint64_t node);
  void start_rings();
  void say_transport();
  // Whether the request is libfuse's to serve; another one has been dealt with.
  bool admit(Bytes* request);
  bool is_refused(const fuse_in_header& header) const;
  ssize_t send(iovec* parts, int count) override;
  void note_init(ConstBytes request);
  Status run_loop();
  // Reads /dev/fuse alone, until INIT is done or (then also) to the end.
  Status read_requests(bool to_the_end);
  Status run_channels();

  FileSystem& file_system_;
  const TransportOptions options_;
  RequestStats stats_;
  fuse_session* session_ = nullptr;
  bool mounted_ = false;
  // allow_root: whoever is neither root nor the one who mounts is refused, which the kernel leaves to us.
  const bool others_refused_;
  const uint32_t owner_;

  Mutex serving_mutex_;
  CondVar served_;
  bool serving_ GUARDED_BY(serving_mutex_) = false;
  pthread_t server_ GUARDED_BY(serving_mutex_) = {};

  // INIT is the first request and is served by the only thread there is then; the flag tells later
  // threads, which start after it, that there is nothing to look for.
  Atomic<bool> init_done_{false};
  uint64_t init_unique_ = 0;
  uint64_t init_offered_ = 0;
  Atomic<bool> ending_{false};
  std::unique_ptr<Rings> rings_;   // null: none; set before INIT
  std::unique_ptr<Channels> channels_;  // set under serving_mutex_, by the thread that serves
  Atomic<bool> setxattr_ext_{false};  // SETXATTR comes in its long form
  bool rings_used_ = false;        // the kernel was told so
  Status start_status_;            // of the rings; the serving thread's
};

}  // namespace scalefs::fuse
