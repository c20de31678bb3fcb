#include "fuse/ring.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/units.h"

namespace scalefs::fuse {

// A page for the header, in whose end the request is put together in front of the payload, and the payload.
struct RingEntry {
  Ring* ring = nullptr;
  std::byte* memory = nullptr;
  iovec parts[2] = {};  // as the kernel wants them at registration
  uint16_t queue = 0;
  uint32_t command = 0;  // the last one, to be repeated where the kernel asks for it
  // Of the request that the daemon has. Written by the driver before the request is served.
  uint64_t unique = 0;

  ring::EntryHeader& header() { return *reinterpret_cast<ring::EntryHeader*>(memory); }
  Bytes payload() { return {static_cast<std::byte*>(parts[1].iov_base), parts[1].iov_len}; }
  void fill(const iovec* from, int count);
  void fail(int code);
};

namespace {

constexpr uint64_t kWakeUserData = 1;  // entries' addresses are even
constexpr size_t kCommandOffset = 48;  // of ring::Command in a submission queue entry
constexpr size_t kCommandOpOffset = 8;

thread_local bool* current_answered = nullptr;  // by the thread that serves it

bool same(const ReplyTarget& a, const ReplyTarget& b) {
  return a.entry == b.entry && a.unique == b.unique;
}

}  // namespace

Bytes ring_payload(const ReplyTarget& target, size_t bytes) {
  if (target.entry == nullptr || bytes > target.entry->payload().size()) return {};
  return target.entry->payload().first(bytes);
}

bool answer_on_ring(const iovec* parts, int count) {
  const ReplyTarget target = answered_target();
  fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof(header));
  if (target.entry == nullptr || target.unique != header.unique) return false;
  target.entry->fill(parts, count);
  if (current_answered != nullptr && same(target, current_reply_target())) {
    *current_answered = true;
  } else {
    target.entry->ring->commit_later(*target.entry);
  }
  return true;
}

void RingEntry::fill(const iovec* from, int count) {
  std::memcpy(header().in_out, from[0].iov_base, sizeof(fuse_out_header));
  size_t bytes = 0;
  for (int i = 1; i < count; ++i) {
    if (from[i].iov_len > payload().size() - bytes) return fail(EIO);
    std::byte* const to = payload().data() + bytes;
    // What was read in place is there already.
    if (to != from[i].iov_base && from[i].iov_len != 0)
      std::memmove(to, from[i].iov_base, from[i].iov_len);
    bytes += from[i].iov_len;
  }
  header().payload_bytes = static_cast<uint32_t>(bytes);
}

void RingEntry::fail(int code) {
  const fuse_out_header out = {.len = sizeof(out), .error = -code, .unique = unique};
  std::memcpy(header().in_out, &out, sizeof(out));
  header().payload_bytes = 0;
}

Ring::Ring(RequestHandler& handler, const Config& config)
    : handler_(handler),
      config_(config),
      relay_(*this, {.pinned = config.pinned, .threads_max = config.threads_max, .name = "ring"}) {}

Result<std::unique_ptr<Ring>> Ring::create(RequestHandler& handler, const Config& config) {
  std::unique_ptr<Ring> ring(new Ring(handler, config));
  SCALEFS_TRY_VOID(ring->set_up());
  return ring;
}

Status Ring::set_up() {
  const size_t count = config_.queues.size() * config_.depth;
  io_uring_params parameters = {};
  parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = static_cast<unsigned>(2 * (count + 1));
  const int made =
      io_uring_queue_init_params(static_cast<unsigned>(count + 1), &ring_, &parameters);
  if (made < 0) return Errno(-made);
  has_ring_ = true;
  const int registered = io_uring_register_files(&ring_, &config_.fuse_fd, 1);
  if (registered < 0) return Errno(-registered);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (wake_fd_ < 0) return Errno(errno);
  memory_bytes_ = count * (kBlockBytes + config_.payload_bytes);
  void* const memory = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return Errno(errno);
  memory_ = static_cast<std::byte*>(memory);
  make_entries();
  return {};
}

void Ring::make_entries() {
  entries_.resize(config_.queues.size() * config_.depth);
  {
    SpinLock lock(returned_lock_);
    returned_.reserve(entries_.size());
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    RingEntry& entry = entries_[i];
    entry.ring = this;
    entry.memory = memory_ + i * (kBlockBytes + config_.payload_bytes);
    entry.parts[0] = {entry.memory, sizeof(ring::EntryHeader)};
    entry.parts[1] = {entry.memory + kBlockBytes, config_.payload_bytes};
    entry.queue = config_.queues[i / config_.depth];
  }
}

Ring::~Ring() {
  stop();
  if (wake_fd_ >= 0) ::close(wake_fd_);
  if (memory_ != nullptr) ::munmap(memory_, memory_bytes_);
}

Status Ring::start() { return relay_.start(); }

void Ring::stop() {
  relay_.end();
  if (wake_fd_ >= 0) wake();
  relay_.stop();
  if (!has_ring_) return;
  has_ring_ = false;
  (void)io_uring_unregister_files(&ring_);  // the rest of a ring goes when the kernel gets to it
  io_uring_queue_exit(&ring_);
}

void Ring::wake() {
  const uint64_t one = 1;
  // Full, it wakes already.
  (void)!::write(wake_fd_, &one, sizeof(one));
}

void Ring::queue_command(RingEntry& entry, uint32_t command) {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  SCALEFS_CHECK(sqe != nullptr);  // there is one for each entry
  auto* const raw = reinterpret_cast<std::byte*>(sqe);
  std::memset(raw, 0, 128);
  sqe->opcode = IORING_OP_URING_CMD;
  sqe->flags = IOSQE_FIXED_FILE;
  std::memcpy(raw + kCommandOpOffset, &command, sizeof(command));
  ring::Command body = {};
  body.queue = entry.queue;
  if (command == ring::kRegister) {
    sqe->addr = reinterpret_cast<uint64_t>(entry.parts);
    sqe->len = 2;
  } else {
    body.commit_id = entry.unique;
  }
  std::memcpy(raw + kCommandOffset, &body, sizeof(body));
  sqe->user_data = reinterpret_cast<uint64_t>(&entry);
  entry.command = command;
}

void Ring::queue_wake_read() {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  SCALEFS_CHECK(sqe != nullptr);
  std::memset(reinterpret_cast<std::byte*>(sqe), 0, 128);
  io_uring_prep_read(sqe, wake_fd_, &wake_count_, sizeof(wake_count_), 0);
  sqe->user_data = kWakeUserData;
}

bool Ring::has_returned() {
  SpinLock lock(returned_lock_);
  return !returned_.empty();
}

void Ring::commit_returned() {
  SpinLock lock(returned_lock_);
  for (RingEntry* entry : returned_) queue_command(*entry, ring::kCommitAndFetch);
  returned_.clear();
}

void Ring::commit_later(RingEntry& entry) {
  {
    SpinLock lock(returned_lock_);
    returned_.push_back(&entry);
  }
  WakeBatch::wake(*this);
}

void Ring::wake_now() {
  if (sleeping_.exchange(false, seq_cst)) wake();
}

bool Ring::drive() {
  if (!registered_) {
    registered_ = true;
    for (RingEntry& entry : entries_) queue_command(entry, ring::kRegister);
    queue_wake_read();
  }
  while (!relay_.stopping()) {
    commit_returned();
    if (io_uring_sq_ready(&ring_) != 0) io_uring_submit(&ring_);
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_, &cqe) != 0) {
      sleeping_.store(true, seq_cst);
      if (!has_returned() && !relay_.stopping()) io_uring_submit_and_wait(&ring_, 1);
      sleeping_.store(false, seq_cst);
    }
    while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
      const uint64_t user_data = cqe->user_data;
      const int result = cqe->res;
      io_uring_cqe_seen(&ring_, cqe);
      if (!complete(user_data, result)) return false;
    }
  }
  return true;
}

bool Ring::complete(uint64_t user_data, int result) {
  if (user_data == kWakeUserData) {
    queue_wake_read();
    return true;
  }
  RingEntry& entry = *reinterpret_cast<RingEntry*>(user_data);
  if (result == 0) return serve(entry);
  if (result == -EAGAIN || result == -EINTR) queue_command(entry, entry.command);
  // Else the connection has ended, and the entry with it.
  return true;
}

bool Ring::serve(RingEntry& entry) {
  ring::EntryHeader& header = entry.header();
  fuse_in_header in;
  std::memcpy(&in, header.in_out, sizeof(in));
  entry.unique = header.commit_id;
  const size_t payload = header.payload_bytes;
  const size_t body = in.len - sizeof(in) - payload;
  if (payload > entry.payload().size() || in.len < sizeof(in) + payload ||
      body > sizeof(header.operation)) {
    entry.fail(EIO);
    queue_command(entry, ring::kCommitAndFetch);
    return true;
  }
  std::byte* const request = entry.payload().data() - body - sizeof(in);
  std::memcpy(request + sizeof(in), header.operation, body);
  std::memcpy(request, &in, sizeof(in));

  bool answered = false;
  const Relay::Turn turn(relay_);
  {
    const ServedTarget target({.entry = &entry, .unique = entry.unique});
    current_answered = &answered;
    handler_.serve({request, sizeof(in) + body + payload});
    current_answered = nullptr;
  }
  if (answered && turn.drives()) queue_command(entry, ring::kCommitAndFetch);
  if (answered && !turn.drives()) commit_later(entry);
  return turn.drives();
}

}  // namespace scalefs::fuse
