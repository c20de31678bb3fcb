// Reply over libfuse's fuse_reply_* calls. Made for each request, deletes itself with the answer.
#pragma once

#include <fuse_lowlevel.h>

#include <memory>

#include "fuse/raw_requests.h"
#include "fuse/reply_buffer.h"
#include "fuse/request.h"
#include "fuse/ring.h"

namespace scalefs::fuse {

class LibfuseTransport;

class LibfuseReply final : public Reply {
 public:
  // `is_ioctl`: data() and error(0) answer an ioctl.
  explicit LibfuseReply(fuse_req_t request, bool is_ioctl = false);

  Bytes buffer(size_t bytes) override;
  bool pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) override;
  bool pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr,
                       size_t bytes_max) override;

  void forget_attributes(MnodeNo mnode) override;

  void error(int code) override;
  void none() override;
  bool entry(const Attr& attr) override;
  void no_entry() override;
  bool created(const Attr& attr, const OpenMode& mode) override;
  void attr(const Attr& attr) override;
  void opened(const OpenMode& mode) override;
  void filled(size_t bytes) override;
  bool listing() override;
  void data(ConstBytes bytes) override;
  void written(size_t bytes) override;
  void xattr_size(size_t bytes) override;
  void offset(uint64_t offset) override;
  void statfs(const volume::StatFs& statfs) override;

 private:
  // The object's end, and what is sent meanwhile is its answer.
  class Self {
   public:
    explicit Self(LibfuseReply* reply) : reply_(reply), answer_(reply->target_) { reply->note(); }

   private:
    const std::unique_ptr<LibfuseReply> reply_;
    const RingAnswer answer_;  // ends first
  };
  // Counts the answer; before it goes out, so that who got it finds it counted.
  void note();
  LibfuseTransport& transport() const;
  bool pack(const memfs::DirectoryEntry& entry, bool plus, const Attr* attr, size_t bytes_max);

  fuse_req_t request_;
  const bool is_ioctl_;
  const RingTarget target_;
  const uint64_t since_;  // cycle_now() at the request's arrival
  const uint64_t node_;
  const uint32_t opcode_;
  ReplyBuffer buffer_;
  Bytes memory_;       // of buffer_, or in place
  size_t listed_ = 0;  // bytes of the listing
};

}  // namespace scalefs::fuse
