#include "volume/memory_volume.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"

namespace scalefs::volume {

namespace {

memfs::LoadedObject fresh_root() {
  memfs::LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.uid = ::getuid();
  root.attr.gid = ::getgid();
  root.attr.nlink = 2;
  const int64_t now = wall_ns();
  root.attr.atime_ns = root.attr.mtime_ns = root.attr.ctime_ns = root.attr.btime_ns = now;
  root.parent = kRootMnode;
  return root;
}

}  // namespace

MemoryVolume::MemoryVolume(const VolumeOptions& options) : options_(options) {
  system_random(&info_.hash_key, sizeof(info_.hash_key));
  system_random(info_.uuid, sizeof(info_.uuid));
  info_.block_count = options.cache_bytes / kBlockBytes;
  memfs::MemFsOptions fs_options;
  fs_options.hash_key = info_.hash_key;
  fs_options.relatime = options.relatime;
  fs_options.noatime = options.noatime;
  fs_options.nodiratime = options.nodiratime;
  fs_ = std::make_unique<memfs::MemFs>(fs_options, nullptr, nullptr);
  fs_->install_root(fresh_root());
  for (uint32_t core = 0; core < core_count(); ++core) {
    fs_->set_mnode_numbers(core, 1, kMnodeNoLimit >> kCoreBits);
  }
  if (options.threads) {
    maintenance_.start(
        [this](bool) { return step_maintenance() ? kMaintenanceBusyMs : kMaintenanceIdleMs; });
  }
}

MemoryVolume::~MemoryVolume() { (void)unmount(); }

Status MemoryVolume::fsync(MnodeNo /*mnode*/, bool /*data_only*/) {
  fsyncs_.mine().add(1);
  return {};
}

void MemoryVolume::fsync_async(MnodeNo mnode, bool data_only, std::function<void(Status)> done) {
  done(fsync(mnode, data_only));
}

StatFs MemoryVolume::statfs() {
  StatFs result;
  result.blocks = info_.block_count;
  const uint64_t used = fs_->page_bytes() / kBlockBytes;
  result.blocks_free = result.blocks - std::min(result.blocks, used);
  result.blocks_available = result.blocks_free;
  return result;
}

Statistics MemoryVolume::statistics() {
  Statistics result;
  for (uint32_t core = 0; core < fsyncs_.size(); ++core) result.fsyncs += fsyncs_.at(core).get();
  result.memory = fs_->usage();
  return result;
}

Status MemoryVolume::unmount() {
  maintenance_.stop();
  return {};
}

}  // namespace scalefs::volume
