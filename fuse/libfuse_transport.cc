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
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/core.h"
#include "base/log.h"
#include "fuse/libfuse_operations.h"
#include "fuse/negotiate.h"
#include "fuse/raw_requests.h"
#include "fuse/request_check.h"

namespace scalefs::fuse {
namespace {

constexpr int kWakeSignal = SIGUSR2;
constexpr uint64_t kWakePeriodMs = 10;
constexpr uint64_t kForgetNapMs = 2;

// At the most: a thread waits when a page must be read or a writer is held back.
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

// As libfuse traces the requests that it decodes.
void trace(const fuse_in_header& header, const char* name) {
  std::fprintf(stderr, "unique: %llu, opcode: %s (%u), nodeid: %llu, insize: %u, pid: %u\n",
               static_cast<unsigned long long>(header.unique), name, header.opcode,
               static_cast<unsigned long long>(header.nodeid), header.len, header.pid);
}

}  // namespace

LibfuseTransport::LibfuseTransport(FileSystem& file_system, TransportOptions options)
    : file_system_(file_system),
      options_(std::move(options)),
      others_refused_(std::ranges::find(options_.mount_options, "allow_root") != options_.mount_options.end()),
      owner_(::getuid()) {}

Result<std::unique_ptr<LibfuseTransport>> LibfuseTransport::create(FileSystem& file_system,
                                                                   TransportOptions options) {
  fuse_set_log_func(forward_log);
  std::unique_ptr<LibfuseTransport> transport(
      new LibfuseTransport(file_system, std::move(options)));
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
  // Their descriptors would keep the connection, and whoever waits for an answer of it.
  if (channels_ != nullptr) channels_->close();
  if (mounted_) fuse_session_unmount(session_);
  mounted_ = false;
}

void LibfuseTransport::let_go() {
  if (!mounted_) return;
  mounted_ = false;
  if (channels_ != nullptr) channels_->close();
  // The descriptor is libfuse's to close; what it stands for ends here.
  lead_nowhere(fuse_session_fd(session_));
}

Status LibfuseTransport::mount(const std::string& mountpoint) {
  if (fuse_session_mount(session_, mountpoint.c_str()) != 0) return Errno(EIO);
  mounted_ = true;
  fuse_custom_io hooks = {};
  hooks.read = read_hook;
  hooks.writev = write_hook;
  const int hooked = fuse_session_custom_io(session_, &hooks, fuse_session_fd(session_));
  if (hooked != 0) return Errno(EIO);
  prepare_rings();
  return {};
}

// Before INIT: once the kernel was told of rings, every request waits for them.
void LibfuseTransport::prepare_rings() {
  if (options_.rings == RingUse::off) return;
  auto made = Rings::create(*this, {.fuse_fd = fuse_session_fd(session_),
                                    .depth = options_.ring_depth,
                                    .payload_bytes = kTransferBytesMax});
  if (made.ok()) {
    rings_ = std::move(*made);
  } else {
    log_warning("no ring for io_uring can be made: {}", std::strerror(made.code()));
  }
}

void LibfuseTransport::start_rings() {
  if (rings_used_) {
    start_status_ = rings_->start();
    if (!start_status_.ok()) ending_.store(true, relaxed);
  } else {
    rings_.reset();
  }
}

// Not before the mount has been reported: until then success is silent.
void LibfuseTransport::say_transport() {
  if (rings_used_) {
    log_info("serving requests over io_uring, {} rings", rings_->count());
  } else if (options_.rings == RingUse::on) {
    log_warning("the kernel does not offer FUSE over io_uring (its module's parameter enable_uring may be "
                "off): serving requests over /dev/fuse");
  }
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
  ending_.store(true, relaxed);
  if (rings_ != nullptr) rings_->stop();
  MutexLock lock(serving_mutex_);
  serving_ = false;
  served_.notify_all();
  return status;
}

Status LibfuseTransport::run_loop() {
  SCALEFS_TRY_VOID(read_requests(false));
  if (ending_.load(relaxed)) return start_status_;
  return rings_used_ ? read_requests(true) : run_channels();
}

Status LibfuseTransport::read_requests(bool to_the_end) {
  const Bytes buffer = request_buffer();
  if (buffer.empty()) return Errno(ENOMEM);
  while (!ending_.load(relaxed) && (to_the_end || !init_done_.load(relaxed))) {
    const auto got = read_request(fuse_session_fd(session_), buffer);
    if (!got.ok() && got.code() == EAGAIN) continue;
    if (!got.ok()) return got.error();
    if (*got == 0) {
      ending_.store(true, relaxed);
      break;
    }
    const uint32_t opcode = reinterpret_cast<const fuse_in_header*>(buffer.data())->opcode;
    serve(buffer.first(*got));
    if (opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET) continue;
    MutexLock lock(serving_mutex_);
    (void)served_.wait_for(serving_mutex_, kForgetNapMs);
  }
  return {};
}

Status LibfuseTransport::run_channels() {
  {
    MutexLock lock(serving_mutex_);
    RequestHandler& handler = *this;
    const Channels::Config config = {.fuse_fd = fuse_session_fd(session_),
                                     .threads = options_.threads != 0 ? options_.threads : default_threads(),
                                     .wake_signal = kWakeSignal};
    try {
      channels_ = std::make_unique<Channels>(handler, config);
    } catch (const std::bad_alloc&) {
      return Errno(ENOMEM);
    }
  }
  Status status = channels_->start();
  if (status.ok() && !ending_.load(seq_cst)) status = channels_->wait();  // pairs with stop()
  channels_->stop();
  return status;
}

// A signal ends a read of /dev/fuse, unless it comes between the look at the flag and the read: therefore again and again.
void LibfuseTransport::stop() {
  ending_.store(true, seq_cst);
  MutexLock lock(serving_mutex_);
  if (channels_ != nullptr) channels_->end();
  while (serving_) {
    ::pthread_kill(server_, kWakeSignal);
    (void)served_.wait_for(serving_mutex_, kWakePeriodMs);
  }
}

void LibfuseTransport::note_init(ConstBytes request) {
  fuse_init_in init = {};
  const ConstBytes body = request.subspan(sizeof(fuse_in_header));
  std::memcpy(&init, body.data(), std::min(body.size(), sizeof(init)));
  // Of a newer protocol the kernel only asks for ours, and then sends INIT again.
  if (init.major != FUSE_KERNEL_VERSION) return;
  init_unique_ = reinterpret_cast<const fuse_in_header*>(request.data())->unique;
  init_offered_ = init.flags;
  // Nothing when they did not come.
  if ((init.flags & ring::kInitExtended) != 0) init_offered_ |= uint64_t{init.flags2} << 32;
}

// As libfuse does it for the requests that it decodes.
bool LibfuseTransport::is_refused(const fuse_in_header& header) const {
  return others_refused_ && header.uid != owner_ && header.uid != 0 && !is_of_open_file(header.opcode);
}

bool LibfuseTransport::admit(Bytes* whole) {
  if (setxattr_ext_.load(relaxed)) *whole = shorten_setxattr(*whole);
  const ConstBytes request = *whole;
  const auto* header = reinterpret_cast<const fuse_in_header*>(request.data());
  set_current_request(header);
  const RequestVerdict verdict = check_request(request);
  if (verdict != RequestVerdict::good) [[unlikely]] {
    if (verdict == RequestVerdict::malformed) refuse_request(*this, request, EINVAL);
    return false;
  }
  if (header->opcode == FUSE_INIT) [[unlikely]] note_init(request);
  const char* const name = direct_request(header->opcode);
  // Before INIT libfuse refuses what it is given.
  if (name == nullptr || !init_done_.load(relaxed)) return true;
  if (options_.debug) trace(*header, name);
  if (is_refused(*header)) {
    refuse_request(*this, request, EACCES);
  } else {
    serve_direct_request(file_system_, *this, request);
  }
  return false;
}

// libfuse does not read, but wants to be told how.
ssize_t LibfuseTransport::read_hook(int fd, void* buffer, size_t size, void*) {
  return ::read(fd, buffer, size);
}

void LibfuseTransport::serve(Bytes request) {
  SCALEFS_CHECK(request.size() >= sizeof(fuse_in_header));
  if (!admit(&request)) return;
  fuse_buf buffer = {};
  buffer.size = request.size();
  buffer.mem = request.data();
  fuse_session_process_buf(session_, &buffer);
}

ssize_t LibfuseTransport::write_hook(int fd, iovec* parts, int count, void* user) {
  auto* self = static_cast<LibfuseTransport*>(user);
  if (answer_on_ring(parts, count)) {
    ssize_t bytes = 0;
    for (int i = 0; i < count; ++i) bytes += static_cast<ssize_t>(parts[i].iov_len);
    return bytes;
  }
  // pairs with answer_init
  if (!self->init_done_.load(acquire)) [[unlikely]] return self->answer_init(fd, parts, count);
  const ReplyTarget target = answered_target();
  const auto* header = static_cast<const fuse_out_header*>(parts[0].iov_base);
  const bool of_channel = target.channel >= 0 && target.unique == header->unique;
  return ::writev(of_channel ? target.channel : fd, parts, count);
}

ssize_t LibfuseTransport::send(iovec* parts, int count) {
  return write_hook(fuse_session_fd(session_), parts, count, this);
}

void LibfuseTransport::note_damage(uint64_t node) {
  log_error("damage was found on the way to object {}: run fsck.scalefs when the volume is unmounted", node);
  if (options_.on_damage) options_.on_damage();
}

// Waits for nobody: pages stay, and whoever asked holds the object.
void LibfuseTransport::forget_attributes(MnodeNo mnode) {
  (void)fuse_lowlevel_notify_inval_inode(session_, mnode.v, -1, 0);
}

ssize_t LibfuseTransport::answer_init(int fd, iovec* parts, int count) {
  const auto* header = static_cast<const fuse_out_header*>(parts[0].iov_base);
  if (header->unique != init_unique_ || count < 2 || header->error != 0) {
    return ::writev(fd, parts, count);
  }
  fuse_init_out out = {};
  const size_t length = std::min(parts[1].iov_len, sizeof(out));
  std::memcpy(&out, parts[1].iov_base, length);
  const uint64_t flags = negotiated_beyond_libfuse(init_offered_, rings_ != nullptr);
  out.flags |= static_cast<uint32_t>(flags);
  if ((flags >> 32) != 0 && length >= offsetof(fuse_init_out, flags2) + sizeof(uint32_t)) {
    out.flags |= ring::kInitExtended;
    out.flags2 |= static_cast<uint32_t>(flags >> 32);
    rings_used_ = true;
  }
  setxattr_ext_.store((flags & FUSE_SETXATTR_EXT) != 0, relaxed);  // the answer is before any SETXATTR
  iovec edited[2] = {parts[0], {&out, length}};
  const ssize_t written = ::writev(fd, edited, 2);
  if (written >= 0) {
    init_done_.store(true, release);  // pairs with write_hook
    start_rings();
    if (!start_status_.ok()) return written;
    if (options_.on_ready) options_.on_ready();
    say_transport();
  }
  return written;
}

}  // namespace scalefs::fuse
