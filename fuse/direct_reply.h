// The Reply of a request that we decode ourselves (fuse/direct_requests.h): encodes the answer in the kernel's structures and
// sends it to where the request came from. Made with new for each request, deletes itself with the answer; a thread keeps
// the memory of a few for its next ones, so that no request asks the allocator.
#pragma once

#include <sys/uio.h>

#include <cstddef>

#include "fuse/reply_buffer.h"
#include "fuse/request.h"
#include "fuse/ring.h"

struct fuse_in_header;

namespace scalefs::fuse {

// Where replies go; what writev(2) answers. The reply is that to answered_target(). Any thread.
class ReplySink {
 public:
  virtual ssize_t send(iovec* parts, int count) = 0;
  // Before that: a request of this kind about this object, which came when interval_now() was `since`, is answered with `code`.
  virtual void note_answer(uint32_t opcode, uint64_t since, uint64_t node, int code) = 0;

 protected:
  ~ReplySink() = default;
};

class DirectReply final : public Reply {
 public:
  // Of the request that this thread serves. The sink outlives the answer.
  DirectReply(ReplySink& sink, const fuse_in_header& request);

  // Null: no memory.
  static void* operator new(size_t bytes, const std::nothrow_t&) noexcept;
  static void operator delete(void* memory) noexcept;

  // In place, over a ring: nothing of the request may be needed any more.
  Bytes buffer(size_t bytes) override;
  bool pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) override;
  bool pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr, size_t bytes_max) override;

  void error(int code) override { finish(code, {}); }
  void none() override { delete this; }
  bool entry(const Attr& attr) override;
  void no_entry() override;
  bool created(const Attr& attr, const OpenMode& mode) override;
  void attr(const Attr& attr) override;
  void opened(const OpenMode& mode) override;
  void filled(size_t bytes) override;
  bool listing() override { return finish(0, ConstBytes(memory_).first(listed_)); }
  void data(ConstBytes bytes) override { finish(0, bytes); }
  void written(size_t bytes) override;
  void xattr_size(size_t bytes) override;
  void offset(uint64_t offset) override;
  void statfs(const volume::StatFs& statfs) override;

 private:
  bool pack(const memfs::DirectoryEntry& entry, bool plus, const Attr* attr, size_t bytes_max);
  // The object's end. Whether the answer arrived.
  bool finish(int code, ConstBytes payload);
  template <class Out>
  bool finish_with(const Out& out) {
    return finish(0, std::as_bytes(std::span(&out, 1)));
  }

  ReplySink& sink_;
  const uint32_t opcode_;
  const uint64_t unique_;
  const uint64_t node_;
  const uint64_t since_;  // interval_now() at the request's arrival
  const ReplyTarget target_;
  ReplyBuffer buffer_;
  Bytes memory_;       // of buffer_, or in place
  size_t listed_ = 0;  // bytes of the listing
};

}  // namespace scalefs::fuse
