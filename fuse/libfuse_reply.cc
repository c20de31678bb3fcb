#include "fuse/libfuse_reply.h"

#include <sys/statvfs.h>

#include "base/clock.h"
#include "fuse/libfuse_transport.h"
#include "fuse/raw_requests.h"
#include "fuse/wire.h"

namespace scalefs::fuse {
namespace {

fuse_entry_param to_param(const Attr& attr) {
  fuse_entry_param out = {};
  out.ino = attr.mnode.v;
  out.generation = attr.generation;
  out.attr = wire::to_stat(attr);
  out.attr_timeout = static_cast<double>(kCacheSeconds);
  out.entry_timeout = static_cast<double>(kCacheSeconds);
  return out;
}

fuse_file_info to_info(const OpenMode& mode) {
  fuse_file_info out = {};
  out.keep_cache = mode.keep_cache;
  out.cache_readdir = mode.cache_entries;
  out.noflush = mode.no_flush;
  return out;
}

}  // namespace

LibfuseReply::LibfuseReply(fuse_req_t request, bool is_ioctl)
    : request_(request),
      is_ioctl_(is_ioctl),
      target_(current_reply_target()),
      since_(interval_now()),
      node_(current_node()),
      opcode_(current_opcode()) {}

LibfuseTransport& LibfuseReply::transport() const {
  return *static_cast<LibfuseTransport*>(fuse_req_userdata(request_));
}

void LibfuseReply::note(int code) { transport().note_answer(opcode_, since_, node_, code); }

void LibfuseReply::forget_attributes(MnodeNo mnode) {
  transport().forget_attributes(mnode);
}

void LibfuseReply::error(int code) {
  Self self(this, code);
  if (is_ioctl_ && code == 0) {
    fuse_reply_ioctl(request_, 0, nullptr, 0);
  } else {
    fuse_reply_err(request_, code);
  }
}

void LibfuseReply::none() {
  Self self(this);
  fuse_reply_none(request_);
}

bool LibfuseReply::entry(const Attr& attr) {
  Self self(this);
  const fuse_entry_param param = to_param(attr);
  return fuse_reply_entry(request_, &param) == 0;
}

bool LibfuseReply::created(const Attr& attr, const OpenMode& mode) {
  Self self(this);
  const fuse_entry_param param = to_param(attr);
  const fuse_file_info info = to_info(mode);
  return fuse_reply_create(request_, &param, &info) == 0;
}

void LibfuseReply::opened(const OpenMode& mode) {
  Self self(this);
  const fuse_file_info info = to_info(mode);
  fuse_reply_open(request_, &info);
}

void LibfuseReply::data(ConstBytes bytes) {
  Self self(this);
  if (is_ioctl_) {
    fuse_reply_ioctl(request_, 0, bytes.data(), bytes.size());
  } else {
    fuse_reply_buf(request_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
}

void LibfuseReply::written(size_t bytes) {
  Self self(this);
  fuse_reply_write(request_, bytes);
}

void LibfuseReply::xattr_size(size_t bytes) {
  Self self(this);
  fuse_reply_xattr(request_, bytes);
}

void LibfuseReply::offset(uint64_t offset) {
  Self self(this);
  fuse_reply_lseek(request_, static_cast<off_t>(offset));
}

void LibfuseReply::statfs(const volume::StatFs& statfs) {
  Self self(this);
  struct statvfs out = {};
  out.f_bsize = kBlockBytes;
  out.f_frsize = kBlockBytes;
  out.f_blocks = statfs.blocks;
  out.f_bfree = statfs.blocks_free;
  out.f_bavail = statfs.blocks_available;
  out.f_files = statfs.files;
  out.f_ffree = statfs.files_free;
  out.f_favail = statfs.files_free;
  out.f_namemax = kNameBytesMax;
  fuse_reply_statfs(request_, &out);
}

}  // namespace scalefs::fuse
