// What the file system does for each request of the FUSE protocol, in the words of fuse/request.h.
// Knows no transport. Every method answers its Responder exactly once, now or later; arguments that
// are views are valid until the method returns.
//
// Thread safety: every method from any thread at any time.
// Permissions, locks, sticky bits and path walking are the kernel's (default_permissions); what is
// stored or limited (names, sizes, links) is checked by MemFS.
//
// Durability: fsync and fsyncdir are parked and answered when a commit that began afterwards is on
// the device; on the root directory they stand for the whole volume. With Settings::sync_names
// (mount options sync, dirsync) calls that change names are answered only when durable.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "fuse/request.h"
#include "fuse/sync_queue.h"
#include "volume/volume.h"

namespace scalefs::fuse {

// fuse ioctl requests as the transport decoded them.
struct IoctlCall {
  uint32_t command = 0;
  ConstBytes input;
  size_t output_bytes = 0;
};

enum class ShutdownMode : uint32_t { flush_all = 0, flush_log = 1, no_flush = 2 };

class Operations {
 public:
  struct Settings {
    bool sync_names = false;
  };

  // `volume` outlives the Operations.
  Operations(volume::Volume& volume, const Settings& settings);
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  // Answers what waits for a sync. No request may come any more.
  void finish() { syncs_.finish(); }

  // --- names (operations_names.cc)
  void lookup(MnodeNo parent, std::string_view name, Responder reply);
  void forget(MnodeNo mnode, uint64_t count);
  void mknod(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
             uint64_t rdev, Responder reply);
  void mkdir(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
             Responder reply);
  void symlink(const Context& context, std::string_view target, MnodeNo parent,
               std::string_view name, Responder reply);
  void link(MnodeNo target, MnodeNo parent, std::string_view name, Responder reply);
  void unlink(MnodeNo parent, std::string_view name, Responder reply);
  void rmdir(MnodeNo parent, std::string_view name, Responder reply);
  // `flags`: RENAME_* of renameat2(2).
  void rename(const Context& context, MnodeNo source_parent, std::string_view source_name,
              MnodeNo target_parent, std::string_view target_name, uint32_t flags,
              Responder reply);
  void readlink(MnodeNo link, Responder reply);
  // `open_flags`: those of open(2) (O_EXCL and O_TRUNC count).
  void create(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
              uint32_t open_flags, Responder reply);
  void tmpfile(const Context& context, MnodeNo parent, uint32_t mode, Responder reply);

  // --- directories (operations_names.cc). `bytes`: room for the listing.
  void opendir(MnodeNo dir, Responder reply);
  void readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply);
  void readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply);

  // --- attributes (operations_attr.cc)
  void getattr(MnodeNo mnode, Responder reply);
  // A change that sets nothing at all is how the kernel asks for the set-id bits to be dropped.
  // It asks so on behalf of whoever changes content, and of a chown to nobody, which it lets anybody make: those who are neither
  // root nor the owner drop nothing by it. The calls that change content drop the bits themselves.
  void setattr(const Context& context, MnodeNo mnode, const memfs::SetAttr& change, Responder reply);
  // `kill_sgid`: an access ACL takes the set-gid bit away.
  void setxattr(MnodeNo mnode, std::string_view name, ConstBytes value, int flags, bool kill_sgid,
                Responder reply);
  // `size` 0 asks for the size only.
  void getxattr(MnodeNo mnode, std::string_view name, size_t size, Responder reply);
  // Names of trusted attributes are for root alone.
  void listxattr(const Context& context, MnodeNo mnode, size_t size, Responder reply);
  void removexattr(MnodeNo mnode, std::string_view name, Responder reply);
  void statfs(Responder reply);
  void ioctl(MnodeNo mnode, const IoctlCall& call, Responder reply);
  // EPERM unless by root. Afterwards every call answers EIO.
  void shutdown(const Context& context, ShutdownMode mode, Responder reply);

  // --- data (operations_data.cc)
  // `kill_set_id`: the kernel asks to drop the set-id bits, as it does for those who may not keep them.
  void open(MnodeNo mnode, uint32_t open_flags, bool kill_set_id, Responder reply);
  void read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime atime, Responder reply);
  void write(MnodeNo file, uint64_t offset, ConstBytes from, bool kill_set_id, Responder reply);
  void fsync(MnodeNo mnode, bool data_only, Responder reply);
  // `mode`: FALLOC_FL_* of fallocate(2).
  void fallocate(const Context& context, MnodeNo file, int mode, uint64_t offset, uint64_t length,
                 Responder reply);
  // `whence`: SEEK_DATA or SEEK_HOLE.
  void lseek(MnodeNo file, uint64_t offset, int whence, Responder reply);
  void copy_file_range(const Context& context, MnodeNo source, uint64_t source_offset, MnodeNo target,
                       uint64_t target_offset, uint64_t length, int flags, Responder reply);

 private:
  memfs::MemFs& fs() { return volume_.fs(); }
  // Answer a call that changed names of `parent`: at once, or when durable.
  void answer_entry(MnodeNo parent, const Attr& attr, Responder reply);
  void answer_created(MnodeNo parent, const Attr& attr, Responder reply);
  void answer_changed(MnodeNo parent, const Status& status, Responder reply);
  // What a change of content by `context` does to the set-id bits, where no flag of the request says it.
  Status kill_set_id(const Context& context, MnodeNo file);
  // nullopt: flags that cannot be set.
  void set_flags(MnodeNo mnode, std::optional<uint32_t> flags, Responder reply);
  void give_entry(const Attr& attr, Responder reply);
  void give_created(const Attr& attr, Responder reply);

  volume::Volume& volume_;
  const Settings settings_;
  SyncQueue syncs_;
};

}  // namespace scalefs::fuse
