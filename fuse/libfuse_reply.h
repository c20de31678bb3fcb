// Reply over libfuse's fuse_reply_* calls, of the requests that libfuse decodes. Made for each request, deletes itself with
// the answer.
#pragma once

#include <fuse_lowlevel.h>

#include <memory>

#include "fuse/request.h"
#include "fuse/ring.h"

namespace scalefs::fuse {

class LibfuseTransport;

class LibfuseReply final : public Reply {
 public:
  // `is_ioctl`: data() and error(0) answer an ioctl.
  explicit LibfuseReply(fuse_req_t request, bool is_ioctl = false);

  void forget_attributes(MnodeNo mnode) override;

  void error(int code) override;
  void none() override;
  bool entry(const Attr& attr) override;
  bool created(const Attr& attr, const OpenMode& mode) override;
  void opened(const OpenMode& mode) override;
  void data(ConstBytes bytes) override;
  void written(size_t bytes) override;
  void xattr_size(size_t bytes) override;
  void offset(uint64_t offset) override;
  void statfs(const volume::StatFs& statfs) override;

  // Of requests that are not libfuse's to decode.
  Bytes buffer(size_t) override { wrong(); }
  bool pack_entry(const memfs::DirectoryEntry&, size_t) override { wrong(); }
  bool pack_entry_plus(const memfs::DirectoryEntry&, const Attr*, size_t) override { wrong(); }
  void no_entry() override { wrong(); }
  void attr(const Attr&) override { wrong(); }
  void filled(size_t) override { wrong(); }
  bool listing() override { wrong(); }

 private:
  // The object's end, and what is sent meanwhile is its answer.
  class Self {
   public:
    explicit Self(LibfuseReply* reply, int code = 0) : reply_(reply), answer_(reply->target_) { reply->note(code); }

   private:
    const std::unique_ptr<LibfuseReply> reply_;
    const AnsweredTarget answer_;  // ends first
  };
  // Counts the answer; before it goes out, so that who got it finds it counted.
  void note(int code);
  LibfuseTransport& transport() const;
  [[noreturn]] static void wrong() {
    check_failed(__FILE__, __LINE__, "a reply that no request of libfuse's has");
  }

  fuse_req_t request_;
  const bool is_ioctl_;
  const ReplyTarget target_;
  const uint64_t since_;  // interval_now() at the request's arrival
  const uint64_t node_;
  const uint32_t opcode_;
};

}  // namespace scalefs::fuse
