// The seam between a transport (libfuse's loop, a ring a core) and the file system: requests come
// in as calls of a FileSystem (fuse/file_system.h) with decoded arguments, replies go out through a Reply.
//
// A Reply belongs to the transport and stands for one request. It is answered exactly once: by one
// of its answering calls, from any thread, at any time later, after which the object is gone.
// Responder is the handle that makes this so: it can be moved, it can be answered once, and one
// that goes out of scope unanswered is a programmer's error, except when an exception unwinds it:
// memory that ran out becomes ENOMEM here and nowhere else.
//
// After the answer the object that it told of may be gone (the kernel may have forgotten it before
// the call returns): nothing of it is touched any more.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/units.h"
#include "memfs/types.h"
#include "volume/volume.h"

namespace scalefs::fuse {

using memfs::Attr;

// scalefs is the only one who changes the volume, so what the kernel has seen stays true until the
// kernel itself changes it: names, absent names and attributes may be kept for good (a year).
inline constexpr uint64_t kCacheSeconds = 365 * 24 * 3600;

// Who asks. `umask` is set for calls that create.
struct Context {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 0;
  int32_t pid = 0;
};

// What an open file or directory may do. There is no handle behind it: an object lives by its
// lookups and links.
// How a WRITE was made.
struct WriteMode {
  bool kill_set_id = false;  // the set-id bits are to go, as they are for those who may not keep them
  bool from_cache = false;   // the kernel writes pages back
};

struct OpenMode {
  bool keep_cache = true;      // pages of an earlier open stay valid
  bool cache_entries = false;  // directories: the kernel may keep the listing
  bool no_flush = true;        // close(2) need not ask: nothing is held back until then
};

class Reply {
 public:
  // --- building; any number of these before the answer. May throw bad_alloc.
  // Memory of the transport's to be filled and then answered with filled(). Exactly `bytes` long,
  // aligned for direct I/O where the transport can. One buffer a reply.
  virtual Bytes buffer(size_t bytes) = 0;
  // Packs a directory entry into the listing, of `bytes_max` bytes in all; false: no room for it.
  virtual bool pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) = 0;
  // The same with attributes; `attr` is null for an entry that comes without a lookup.
  virtual bool pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr,
                               size_t bytes_max) = 0;

  // Tells the kernel, which keeps attributes, that some of this object have changed; for those that it does not take this request
  // to change. Before the answer, so that the caller sees them.
  virtual void forget_attributes(MnodeNo) {}

  // --- answers. Those that give the kernel a reference answer false when it did not arrive (the
  // connection is gone): the lookup is then still the file system's to forget.
  virtual void error(int code) = 0;  // 0: success with nothing to tell
  virtual void none() = 0;           // requests that have no reply (forget)
  virtual bool entry(const Attr& attr) = 0;
  virtual void no_entry() = 0;  // there is no such name, and the kernel may remember that
  virtual bool created(const Attr& attr, const OpenMode& mode) = 0;
  virtual void attr(const Attr& attr) = 0;
  virtual void opened(const OpenMode& mode) = 0;
  virtual void filled(size_t bytes) = 0;  // the first `bytes` of buffer()
  virtual bool listing() = 0;             // what pack_entry and pack_entry_plus gathered
  virtual void data(ConstBytes bytes) = 0;  // readlink, xattr, ioctl
  virtual void written(size_t bytes) = 0;
  virtual void xattr_size(size_t bytes) = 0;
  virtual void offset(uint64_t offset) = 0;
  virtual void statfs(const volume::StatFs& statfs) = 0;

 protected:
  ~Reply() = default;
};

class Responder {
 public:
  explicit Responder(Reply* reply) : reply_(reply) {}
  Responder(Responder&& other) noexcept : reply_(std::exchange(other.reply_, nullptr)) {}
  Responder& operator=(Responder&& other) = delete;
  // Unanswered: ENOMEM while an exception unwinds, else the process stops.
  ~Responder();

  Bytes buffer(size_t bytes) { return get()->buffer(bytes); }
  bool pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) {
    return get()->pack_entry(entry, bytes_max);
  }
  bool pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr, size_t bytes_max) {
    return get()->pack_entry_plus(entry, attr, bytes_max);
  }

  void forget_attributes(MnodeNo mnode) { get()->forget_attributes(mnode); }

  void error(int code) { take()->error(code); }
  void status(const Status& status) { take()->error(status.code()); }
  void none() { take()->none(); }
  [[nodiscard]] bool entry(const Attr& attr) { return take()->entry(attr); }
  void no_entry() { take()->no_entry(); }
  [[nodiscard]] bool created(const Attr& attr, const OpenMode& mode) {
    return take()->created(attr, mode);
  }
  void attr(const Attr& attr) { take()->attr(attr); }
  void opened(const OpenMode& mode) { take()->opened(mode); }
  void filled(size_t bytes) { take()->filled(bytes); }
  [[nodiscard]] bool listing() { return take()->listing(); }
  void data(ConstBytes bytes) { take()->data(bytes); }
  void written(size_t bytes) { take()->written(bytes); }
  void xattr_size(size_t bytes) { take()->xattr_size(bytes); }
  void offset(uint64_t offset) { take()->offset(offset); }
  void statfs(const volume::StatFs& statfs) { take()->statfs(statfs); }

 private:
  Reply* get() {
    SCALEFS_CHECK(reply_ != nullptr);
    return reply_;
  }
  Reply* take() {
    SCALEFS_CHECK(reply_ != nullptr);  // answered twice
    return std::exchange(reply_, nullptr);
  }

  Reply* reply_;
  int unwinding_ = unwinding();
  static int unwinding();
};

}  // namespace scalefs::fuse
