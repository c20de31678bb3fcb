// A file system that answers at once and stores nothing: what a mount costs that does no work, in the same transports, with
// the same answers to INIT and the same requests behind each call. For measuring (scripts/speed_rows.py).
//
// It has the names that follow a pattern, in every directory, and whatever the kernel remembers of what it was told:
//   have-K-...  a file of 2^K bytes        list-K-...  a directory with 10^K files n0, n1, ...
// What is created is there as long as the kernel keeps the name; attributes that the kernel asks for again are those
// of a new object. Data is copied into memory of the thread's that was there before, and out of it: 64 MiB, at the place
// of the file's that it has modulo that, so that it comes from where a file's bytes would come from.
//
// Thread safety: any thread; nothing is shared but a counter, of which each thread takes thousands at a time.
#pragma once

#include "base/atomic.h"
#include "fuse/file_system.h"

namespace scalefs::fuse {

class NullFileSystem final : public FileSystem {
 public:
  NullFileSystem();

  void lookup(MnodeNo parent, std::string_view name, Responder reply) override;
  void forget(std::span<const memfs::Lookups>) override {}
  void mknod(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode, uint64_t rdev,
             Responder reply) override;
  void mkdir(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
             Responder reply) override;
  void symlink(const Context& context, std::string_view target, MnodeNo parent, std::string_view name,
               Responder reply) override;
  void link(MnodeNo target, MnodeNo parent, std::string_view name, Responder reply) override;
  void unlink(MnodeNo, std::string_view, Responder reply) override { reply.error(0); }
  void rmdir(MnodeNo, std::string_view, Responder reply) override { reply.error(0); }
  void rename(const Context&, MnodeNo, std::string_view, MnodeNo, std::string_view, uint32_t,
              Responder reply) override {
    reply.error(0);
  }
  void readlink(MnodeNo link, Responder reply) override;
  void create(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
              uint32_t open_flags, Responder reply) override;
  void tmpfile(const Context& context, MnodeNo parent, uint32_t mode, Responder reply) override;

  void opendir(MnodeNo dir, Responder reply) override;
  void readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply) override;
  void readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime,
                   Responder reply) override;

  void getattr(MnodeNo mnode, Responder reply) override;
  void setattr(const Context& context, MnodeNo mnode, const memfs::SetAttr& change,
               Responder reply) override;
  void setxattr(MnodeNo, std::string_view, ConstBytes, int, bool, Responder reply) override {
    reply.error(0);
  }
  void getxattr(const Context& context, MnodeNo mnode, std::string_view name, size_t size,
                Responder reply) override;
  void listxattr(const Context& context, MnodeNo mnode, size_t size, Responder reply) override;
  void removexattr(MnodeNo mnode, std::string_view name, Responder reply) override;
  void statfs(Responder reply) override;
  void ioctl(MnodeNo mnode, const IoctlCall& call, Responder reply) override;
  void shutdown(const Context& context, ShutdownMode mode, Responder reply) override;

  void open(MnodeNo, uint32_t, bool, Responder reply) override { reply.opened(OpenMode{}); }
  void read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime atime, Responder reply) override;
  void write(MnodeNo file, uint64_t offset, ConstBytes from, WriteMode mode, Responder reply) override;
  void fsync(MnodeNo, bool, Responder reply) override { reply.error(0); }
  void fallocate(const Context&, MnodeNo, int, uint64_t, uint64_t, Responder reply) override {
    reply.error(0);
  }
  void lseek(MnodeNo file, uint64_t offset, int whence, Responder reply) override;
  void copy_file_range(const Context&, MnodeNo, uint64_t, MnodeNo, uint64_t, uint64_t length, int,
                       Responder reply) override {
    reply.written(length);
  }

 private:
  Attr attr_of(MnodeNo mnode) const;
  // Attributes of a new object of this type and these permissions.
  Attr make(const Context& context, uint32_t mode);
  template <class Pack>
  void list(MnodeNo dir, uint64_t cookie, Pack pack) const;

  const int64_t start_ns_;
  Atomic<uint64_t> numbers_{1};  // those that no thread has taken yet
};

}  // namespace scalefs::fuse
