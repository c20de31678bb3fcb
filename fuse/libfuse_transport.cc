#include "fuse/libfuse_transport.h"

#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "base/core.h"
#include "base/log.h"
#include "fuse/libfuse_operations.h"
#include "fuse/negotiate.h"
#include "fuse/raw_requests.h"

namespace scalefs::fuse {
namespace {

constexpr int kWakeSignal = SIGUSR2;
constexpr uint64_t kWakePeriodMs = 10;

// A worker waits when a page must be read or a writer is held back, so there are more of them than
// cores; beyond some number they only meet at the kernel's queue.
unsigned default_threads() { return std::clamp(core_count() * 2, 8u, 64u); }

void forward_log(enum fuse_log_level level, const char* format, va_list arguments) {
  char text[512];
  const int length = std::vsnprintf(text, sizeof(text), format, arguments);
  if (length <= 0) return;
  std::string line(text, std::min<size_t>(static_cast<size_t>(length), sizeof(text) - 1));
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (level <= FUSE_LOG_ERR) {
    log_error("{}", line);
  } else if (level <= FUSE_LOG_WARNING) {
    log_warning("{}", line);
  } else {
    // libfuse's trace (-d): standard error, line by line, not rate limited.
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace

LibfuseTransport::LibfuseTransport(Operations& operations, TransportOptions options)
    : operations_(operations), options_(std::move(options)) {}

Result<std::unique_ptr<LibfuseTransport>> LibfuseTransport::create(Operations& operations,
                                                                   TransportOptions options) {
  fuse_set_log_func(forward_log);
  std::unique_ptr<LibfuseTransport> transport(
      new LibfuseTransport(operations, std::move(options)));
  std::vector<std::string> words = {"scalefs"};
  if (transport->options_.debug) words.push_back("-odebug");
  for (const std::string& option : transport->options_.mount_options) {
    std::string escaped = "-o";
    for (char c : option) {
      if (c == ',' || c == '\\') escaped.push_back('\\');
      escaped.push_back(c);
    }
    words.push_back(std::move(escaped));
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(words.size()), pointers.data());
  transport->session_ = fuse_session_new(&arguments, &libfuse_operations(),
                                         sizeof(fuse_lowlevel_ops), transport.get());
  fuse_opt_free_args(&arguments);
  if (transport->session_ == nullptr) return Errno(EINVAL);
  return transport;
}

LibfuseTransport::~LibfuseTransport() {
  if (session_ == nullptr) return;
  unmount();
  fuse_session_destroy(session_);
}

void LibfuseTransport::unmount() {
  if (mounted_) fuse_session_unmount(session_);
  mounted_ = false;
}

Status LibfuseTransport::mount(const std::string& mountpoint) {
  if (fuse_session_mount(session_, mountpoint.c_str()) != 0) return Errno(EIO);
  mounted_ = true;
  fuse_custom_io hooks = {};
  hooks.read = read_hook;
  hooks.writev = write_hook;
  const int hooked = fuse_session_custom_io(session_, &hooks, fuse_session_fd(session_));
  return hooked == 0 ? Status() : Errno(EIO);
}

Status LibfuseTransport::serve() {
  struct sigaction wake = {};
  wake.sa_handler = [](int) {};  // no SA_RESTART: it ends a wait
  ::sigaction(kWakeSignal, &wake, nullptr);
  {
    MutexLock lock(serving_mutex_);
    server_ = ::pthread_self();
    serving_ = true;
  }
  const Status status = run_loop();
  MutexLock lock(serving_mutex_);
  serving_ = false;
  served_.notify_all();
  return status;
}

Status LibfuseTransport::run_loop() {
  const unsigned threads = options_.threads != 0 ? options_.threads : default_threads();
  fuse_loop_config* config = fuse_loop_cfg_create();
  if (config == nullptr) return Errno(ENOMEM);
  fuse_loop_cfg_set_clone_fd(config, options_.clone_fd ? 1 : 0);
  fuse_loop_cfg_set_max_threads(config, threads);
  // Workers are kept: ending and starting threads costs more than their stacks do.
  fuse_loop_cfg_set_idle_threads(config, threads);
  const int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  return result < 0 ? Status(Errno(-result)) : Status();
}

// The loop's thread sleeps until a worker ends, and the workers in read(2). A signal makes it look at the
// flag, unless it comes between its look and its sleep: therefore again and again. A request of our
// own would not do: a worker that sees the flag drops what it has just read.
void LibfuseTransport::stop() {
  fuse_session_exit(session_);
  MutexLock lock(serving_mutex_);
  while (serving_) {
    ::pthread_kill(server_, kWakeSignal);
    (void)served_.wait_for(serving_mutex_, kWakePeriodMs);
  }
}

ssize_t LibfuseTransport::read_hook(int fd, void* buffer, size_t size, void* user) {
  auto* self = static_cast<LibfuseTransport*>(user);
  for (;;) {
    const ssize_t got = ::read(fd, buffer, size);
    if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) return got;
    const auto* header = static_cast<const fuse_in_header*>(buffer);
    set_current_request(header);
    if (header->opcode == FUSE_INIT) [[unlikely]] {
      const auto length = static_cast<size_t>(got);
      if (length >= sizeof(*header) + offsetof(fuse_init_in, flags) + sizeof(uint32_t)) {
        const auto* init = reinterpret_cast<const fuse_init_in*>(header + 1);
        self->init_unique_ = header->unique;
        self->init_offered_ = init->flags;
      }
      return got;
    }
    if (!is_raw_request(header->opcode)) [[likely]] return got;
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    serve_raw_request(self->operations_, fd,
                      {static_cast<const std::byte*>(buffer), static_cast<size_t>(got)});
    pthread_setcancelstate(cancel_state, &cancel_state);
  }
}

ssize_t LibfuseTransport::write_hook(int fd, iovec* parts, int count, void* user) {
  auto* self = static_cast<LibfuseTransport*>(user);
  // pairs with answer_init
  if (!self->init_done_.load(acquire)) [[unlikely]] return self->answer_init(fd, parts, count);
  return ::writev(fd, parts, count);
}

ssize_t LibfuseTransport::answer_init(int fd, iovec* parts, int count) {
  const auto* header = static_cast<const fuse_out_header*>(parts[0].iov_base);
  if (header->unique != init_unique_ || count < 2 || header->error != 0) {
    return ::writev(fd, parts, count);
  }
  fuse_init_out out = {};
  const size_t length = std::min(parts[1].iov_len, sizeof(out));
  std::memcpy(&out, parts[1].iov_base, length);
  out.flags |= negotiated_beyond_libfuse(init_offered_);
  iovec edited[2] = {parts[0], {&out, length}};
  const ssize_t written = ::writev(fd, edited, 2);
  if (written >= 0) {
    init_done_.store(true, release);  // pairs with write_hook
    if (options_.on_ready) options_.on_ready();
  }
  return written;
}

}  // namespace scalefs::fuse
