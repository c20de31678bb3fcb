#include "fuse/direct_reply.h"

#include <cstdlib>
#include <memory>
#include <new>

#include "base/clock.h"
#include "fuse/wire.h"

namespace scalefs::fuse {
namespace {

thread_local bool thread_ends = false;  // and may still answer

// Memory of replies that a thread is done with.
class Spares {
 public:
  ~Spares() {
    while (count_ != 0) std::free(all_[--count_]);
    thread_ends = true;
  }
  void* take() { return count_ != 0 ? all_[--count_] : nullptr; }
  bool keep(void* memory) {
    if (thread_ends || count_ == std::size(all_)) return false;
    all_[count_++] = memory;
    return true;
  }

 private:
  void* all_[8] = {};
  size_t count_ = 0;
};
thread_local Spares spares;

}  // namespace

DirectReply::DirectReply(ReplySink& sink, const fuse_in_header& request)
    : sink_(sink),
      opcode_(request.opcode),
      unique_(request.unique),
      node_(request.nodeid),
      since_(interval_now()),
      target_(current_reply_target()) {}

void* DirectReply::operator new(size_t bytes, const std::nothrow_t&) noexcept {
  void* const kept = spares.take();
  return kept != nullptr ? kept : std::malloc(bytes);
}

void DirectReply::operator delete(void* memory) noexcept {
  if (!spares.keep(memory)) std::free(memory);
}

bool DirectReply::finish(int code, ConstBytes payload) {
  const std::unique_ptr<DirectReply> self(this);
  fuse_out_header header = {};
  header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
  header.error = -code;
  header.unique = unique_;
  iovec parts[2] = {{&header, sizeof(header)}, {const_cast<std::byte*>(payload.data()), payload.size()}};
  sink_.note_answer(opcode_, since_, node_, code);
  const AnsweredTarget answer(target_);
  return sink_.send(parts, payload.empty() ? 1 : 2) == static_cast<ssize_t>(header.len);
}

Bytes DirectReply::buffer(size_t bytes) {
  memory_ = ring_payload(target_, bytes);
  if (memory_.empty()) memory_ = buffer_.take(bytes);
  return memory_;
}

bool DirectReply::pack(const memfs::DirectoryEntry& entry, bool plus, const Attr* attr, size_t bytes_max) {
  if (memory_.data() == nullptr) (void)buffer(bytes_max);
  const size_t end = wire::pack_entry(memory_, listed_, entry, plus, attr);
  if (end == 0) return false;
  listed_ = end;
  return true;
}

bool DirectReply::pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) {
  return pack(entry, false, nullptr, bytes_max);
}

bool DirectReply::pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr, size_t bytes_max) {
  return pack(entry, true, attr, bytes_max);
}

bool DirectReply::entry(const Attr& attr) { return finish_with(wire::to_entry(attr)); }

void DirectReply::no_entry() {
  fuse_entry_out out = {};
  out.entry_valid = kCacheSeconds;
  finish_with(out);
}

bool DirectReply::created(const Attr& attr, const OpenMode& mode) {
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out = {wire::to_entry(attr), {}};
  out.open.open_flags = wire::open_flags(mode);
  return finish_with(out);
}

void DirectReply::attr(const Attr& attr) {
  if (opcode_ == wire::kOpcodeStatx) {
    finish_with(wire::to_statx(attr));
    return;
  }
  fuse_attr_out out = {};
  out.attr_valid = kCacheSeconds;
  out.attr = wire::to_attr(attr);
  finish_with(out);
}

void DirectReply::opened(const OpenMode& mode) {
  fuse_open_out out = {};
  out.open_flags = wire::open_flags(mode);
  finish_with(out);
}

void DirectReply::filled(size_t bytes) {
  SCALEFS_CHECK(bytes <= memory_.size());
  finish(0, ConstBytes(memory_).first(bytes));
}

void DirectReply::written(size_t bytes) {
  fuse_write_out out = {};
  out.size = static_cast<uint32_t>(bytes);
  finish_with(out);
}

void DirectReply::xattr_size(size_t bytes) {
  fuse_getxattr_out out = {};
  out.size = static_cast<uint32_t>(bytes);
  finish_with(out);
}

void DirectReply::offset(uint64_t offset) { finish_with(fuse_lseek_out{.offset = offset}); }

void DirectReply::statfs(const volume::StatFs&) {
  check_failed(__FILE__, __LINE__, "a reply that no request of ours has");
}

}  // namespace scalefs::fuse
