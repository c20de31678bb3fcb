// What the file system does for each request of the FUSE protocol: FileSystem over a Volume. Knows no transport.
//
// Permissions, locks, sticky bits and path walking are the kernel's (default_permissions); what is
// stored or limited (names, sizes, links) is checked by MemFS.
//
// Durability: fsync and fsyncdir are parked and answered when a commit that began afterwards is on
// the device; on the root directory they stand for the whole volume. With Settings::sync_names
// (mount options sync, dirsync) calls that change names are answered only when durable.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fuse/file_system.h"
#include "fuse/sync_queue.h"
#include "volume/volume.h"

namespace scalefs::fuse {

class Operations final : public FileSystem {
 public:
  struct Settings {
    bool sync_names = false;
    // The kernel keeps what is written, and tells the times that go with it.
    bool writeback_cache = false;
    // Who may ask for the daemon's own (fuse/inquiry.h), beside root.
    uint32_t owner = 0;
    // The answer to such a question; nullopt: it is none. Any thread.
    std::function<std::optional<std::string>(std::string_view name)> inquiry = {};
  };

  // `volume` outlives the Operations.
  Operations(volume::Volume& volume, const Settings& settings);

  // Answers what waits for a sync. No request may come any more.
  void finish() { syncs_.finish(); }

  // --- names (operations_names.cc)
  void lookup(MnodeNo parent, std::string_view name, Responder reply) override;
  void forget(std::span<const memfs::Lookups> several) override;
  void mknod(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
             uint64_t rdev, Responder reply) override;
  void mkdir(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
             Responder reply) override;
  void symlink(const Context& context, std::string_view target, MnodeNo parent,
               std::string_view name, Responder reply) override;
  void link(MnodeNo target, MnodeNo parent, std::string_view name, Responder reply) override;
  void unlink(MnodeNo parent, std::string_view name, Responder reply) override;
  void rmdir(MnodeNo parent, std::string_view name, Responder reply) override;
  void rename(const Context& context, MnodeNo source_parent, std::string_view source_name,
              MnodeNo target_parent, std::string_view target_name, uint32_t flags,
              Responder reply) override;
  void readlink(MnodeNo link, Responder reply) override;
  void create(const Context& context, MnodeNo parent, std::string_view name, uint32_t mode,
              uint32_t open_flags, Responder reply) override;
  void tmpfile(const Context& context, MnodeNo parent, uint32_t mode, Responder reply) override;

  // --- directories (operations_names.cc)
  void opendir(MnodeNo dir, Responder reply) override;
  void readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply) override;
  void readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime atime, Responder reply) override;

  // --- attributes (operations_attr.cc)
  void getattr(MnodeNo mnode, Responder reply) override;
  void setattr(const Context& context, MnodeNo mnode, const memfs::SetAttr& change, Responder reply) override;
  void setxattr(MnodeNo mnode, std::string_view name, ConstBytes value, int flags, bool kill_sgid,
                Responder reply) override;
  void getxattr(const Context& context, MnodeNo mnode, std::string_view name, size_t size,
                Responder reply) override;
  void listxattr(const Context& context, MnodeNo mnode, size_t size, Responder reply) override;
  void removexattr(MnodeNo mnode, std::string_view name, Responder reply) override;
  void statfs(Responder reply) override;
  void ioctl(MnodeNo mnode, const IoctlCall& call, Responder reply) override;
  void shutdown(const Context& context, ShutdownMode mode, Responder reply) override;

  // --- data (operations_data.cc)
  void open(MnodeNo mnode, uint32_t open_flags, bool kill_set_id, Responder reply) override;
  void read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime atime, Responder reply) override;
  void write(MnodeNo file, uint64_t offset, ConstBytes from, WriteMode mode, Responder reply) override;
  void fsync(MnodeNo mnode, bool data_only, Responder reply) override;
  void fallocate(const Context& context, MnodeNo file, int mode, uint64_t offset, uint64_t length,
                 Responder reply) override;
  void lseek(MnodeNo file, uint64_t offset, int whence, Responder reply) override;
  void copy_file_range(const Context& context, MnodeNo source, uint64_t source_offset, MnodeNo target,
                       uint64_t target_offset, uint64_t length, int flags, Responder reply) override;

 private:
  void answer_inquiry(const Context& context, std::string_view name, size_t size, Responder reply);
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
