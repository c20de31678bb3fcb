#include "fuse/channels.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/units.h"
#include "fuse/negotiate.h"
#include "fuse/processors.h"
#include "fuse/reply_target.h"

namespace scalefs::fuse {
namespace {

constexpr size_t kRequestBytesMax = kTransferBytesMax + kBlockBytes;

// -1: the kernel gives none.
int clone_channel(int fuse_fd) {
  const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  uint32_t of = static_cast<uint32_t>(fuse_fd);
  if (::ioctl(fd, FUSE_DEV_IOC_CLONE, &of) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

void lead_nowhere(int fd) {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) return;
  (void)::dup3(nowhere, fd, O_CLOEXEC);
  ::close(nowhere);
}

Result<size_t> read_request(int fd, Bytes to) {
  const ssize_t got = ::read(fd, to.data(), to.size());
  if (got >= static_cast<ssize_t>(sizeof(fuse_in_header))) return static_cast<size_t>(got);
  if (got >= 0) return Errno(EIO);
  if (errno == ENODEV) return size_t{0};
  // ENOENT: whoever asked has given up before the request was read.
  if (errno == EINTR || errno == ENOENT) return Errno(EAGAIN);
  return Errno(errno);
}

Bytes request_buffer() {
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<std::byte, Free> memory;
  if (memory == nullptr) {
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kRequestBytesMax)));
    if (memory == nullptr) return {};
  }
  return {memory.get(), kRequestBytesMax};
}

class Channels::Channel final : private RelaySource {
 public:
  Channel(Channels& all, int fd, bool ours, const Relay::Config& config)
      : all_(all), fd_(fd), ours_(ours), relay_(*this, config) {}
  ~Channel() {
    relay_.stop();
    if (ours_) ::close(fd_);
  }

  Relay& relay() { return relay_; }
  int error() const { return error_.load(acquire); }  // pairs with drive()
  void leave() {
    if (ours_) lead_nowhere(fd_);
  }

 private:
  bool drive() override;

  Channels& all_;
  const int fd_;
  const bool ours_;
  Atomic<int> error_{0};
  Relay relay_;
};

bool Channels::Channel::drive() {
  const Bytes buffer = request_buffer();
  while (!relay_.stopping()) {
    const auto got = buffer.empty() ? Result<size_t>(Errno(ENOMEM)) : read_request(fd_, buffer);
    if (!got.ok() && got.code() == EAGAIN) continue;
    if (!got.ok() || *got == 0) {
      error_.store(got.code(), release);
      all_.end();
      return true;
    }
    fuse_in_header header;
    std::memcpy(&header, buffer.data(), sizeof(header));
    const ServedTarget target({.channel = fd_, .unique = header.unique});
    const Relay::Turn turn(relay_);
    all_.handler_.serve(buffer.first(*got));
    if (!turn.drives()) return false;
  }
  return true;
}

Channels::Channels(RequestHandler& handler, const Config& config) : handler_(handler) {
  const std::vector<unsigned> processors = our_processors();
  const size_t count = std::clamp<size_t>(config.threads, 1, std::max<size_t>(processors.size(), 1));
  for (size_t i = 0; i < count; ++i) {
    const int fd = clone_channel(config.fuse_fd);
    Relay::Config wanted;
    if (count == processors.size()) wanted.pinned = processors[i];
    wanted.threads_max = std::max(1u, config.threads / static_cast<unsigned>(count));
    wanted.name = "channel";
    wanted.wake_signal = config.wake_signal;
    all_.push_back(std::make_unique<Channel>(*this, fd >= 0 ? fd : config.fuse_fd, fd >= 0, wanted));
  }
}

Channels::~Channels() = default;

Status Channels::start() {
  for (auto& channel : all_) SCALEFS_TRY_VOID(channel->relay().start());
  return {};
}

Status Channels::wait() {
  all_.front()->relay().wait_for_end();
  for (const auto& channel : all_)
    if (channel->error() != 0) return Errno(channel->error());
  return {};
}

void Channels::end() {
  for (auto& channel : all_) channel->relay().end();
}

void Channels::stop() {
  end();
  for (auto& channel : all_) channel->relay().stop();
}

void Channels::close() {
  for (auto& channel : all_) channel->leave();
}

}  // namespace scalefs::fuse
