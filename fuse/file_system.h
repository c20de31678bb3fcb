// The seam's other side: what a transport hands its requests to, in the words of fuse/request.h. There are two: the file
// system (fuse/operations.h), and one that answers at once and stores nothing (fuse/null_file_system.h), which is what the
// transport alone costs.
//
// Every method answers its Responder exactly once, now or later; arguments that are views are valid until the method
// returns.
//
// Thread safety: every method from any thread at any time.
#pragma once

#include <span>
#include <string_view>

#include "fuse/request.h"

namespace scalefs::fuse {

// fuse ioctl requests as the transport decoded them.
struct IoctlCall {
  uint32_t command = 0;
  ConstBytes input;
  size_t output_bytes = 0;
};

enum class ShutdownMode : uint32_t { flush_all = 0, flush_log = 1, no_flush = 2 };

class FileSystem {
 public:
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;

  // --- names
  virtual void lookup(MnodeNo parent, std::string_view name, Responder reply) = 0;
  virtual void forget(std::span<const memfs::Lookups> several) = 0;
  virtual void mknod(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
                     uint64_t rdev, Responder reply) = 0;
  virtual void mkdir(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
                     Responder reply) = 0;
  virtual void symlink(const Context& context, std::string_view target, MnodeNo parent,
                       std::string_view name, Responder reply) = 0;
  virtual void link(MnodeNo target, MnodeNo parent, std::string_view name, Responder reply) = 0;
  virtual void unlink(MnodeNo parent, std::string_view name, Responder reply) = 0;
  virtual void rmdir(MnodeNo parent, std::string_view name, Responder reply) = 0;
  // `flags`: RENAME_* of renameat2(2).
  virtual void rename(const Context& context, MnodeNo source_parent, std::string_view source_name,
                      MnodeNo target_parent, std::string_view target_name, uint32_t flags,
                      Responder reply) = 0;
  virtual void readlink(MnodeNo link, Responder reply) = 0;
  // `open_flags`: those of open(2) (O_EXCL and O_TRUNC count).
  virtual void create(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
                      uint32_t open_flags, Responder reply) = 0;
  virtual void tmpfile(const Context& context, MnodeNo parent, uint32_t mode, Responder reply) = 0;

  // --- directories. `bytes`: room for the listing.
  virtual void opendir(MnodeNo dir, Responder reply) = 0;
  virtual void readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply) = 0;
  virtual void readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply) = 0;

  // --- attributes
  virtual void getattr(MnodeNo mnode, Responder reply) = 0;
  // A change that sets nothing at all is how the kernel asks for the set-id bits to be dropped.
  // It asks so on behalf of whoever changes content, and of a chown to nobody, which it lets anybody make: those who are neither
  // root nor the owner drop nothing by it. The calls that change content drop the bits themselves.
  virtual void setattr(const Context& context, MnodeNo mnode, const memfs::SetAttr& change, Responder reply) = 0;
  // `kill_sgid`: an access ACL takes the set-gid bit away.
  virtual void setxattr(MnodeNo mnode, std::string_view name, ConstBytes value, int flags, bool kill_sgid,
                        Responder reply) = 0;
  // `size` 0 asks for the size only.
  virtual void getxattr(const Context& context, MnodeNo mnode, std::string_view name, size_t size,
                        Responder reply) = 0;
  // Names of trusted attributes are for root alone.
  virtual void listxattr(const Context& context, MnodeNo mnode, size_t size, Responder reply) = 0;
  virtual void removexattr(MnodeNo mnode, std::string_view name, Responder reply) = 0;
  virtual void statfs(Responder reply) = 0;
  virtual void ioctl(MnodeNo mnode, const IoctlCall& call, Responder reply) = 0;
  // EPERM unless by root. Afterwards every call answers EIO.
  virtual void shutdown(const Context& context, ShutdownMode mode, Responder reply) = 0;

  // --- data
  // `kill_set_id`: the kernel asks to drop the set-id bits, as it does for those who may not keep them.
  virtual void open(MnodeNo mnode, uint32_t open_flags, bool kill_set_id, Responder reply) = 0;
  virtual void read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime atime, Responder reply) = 0;
  virtual void write(MnodeNo file, uint64_t offset, ConstBytes from, WriteMode mode, Responder reply) = 0;
  virtual void fsync(MnodeNo mnode, bool data_only, Responder reply) = 0;
  // `mode`: FALLOC_FL_* of fallocate(2).
  virtual void fallocate(const Context& context, MnodeNo file, int mode, uint64_t offset, uint64_t length,
                         Responder reply) = 0;
  // `whence`: SEEK_DATA or SEEK_HOLE.
  virtual void lseek(MnodeNo file, uint64_t offset, int whence, Responder reply) = 0;
  virtual void copy_file_range(const Context& context, MnodeNo source, uint64_t source_offset, MnodeNo target,
                               uint64_t target_offset, uint64_t length, int flags, Responder reply) = 0;

 protected:
  FileSystem() = default;
  ~FileSystem() = default;
};

}  // namespace scalefs::fuse
