#include "volume/volume.h"

#include <algorithm>

#include "volume/disk_volume.h"
#include "volume/memory_volume.h"

namespace scalefs::volume {

std::unique_ptr<Volume> Volume::memory(const VolumeOptions& options) {
  return std::make_unique<MemoryVolume>(options);
}

Result<std::unique_ptr<Volume>> Volume::mount(diskfs::BlockDevice& device,
                                              const VolumeOptions& options, std::string* why) {
  diskfs::MountOptions disk_options;
  disk_options.read_only = options.read_only || device.read_only();
  disk_options.recover = options.recover;
  disk_options.discard = options.discard;
  disk_options.node_cache_bytes =
      std::min<size_t>(disk_options.node_cache_bytes, options.cache_bytes / 8);
  SCALEFS_TRY(auto disk, diskfs::DiskFs::mount(device, disk_options, why));
  auto marks = disk->pin().reader().mnode_marks();
  if (!marks.ok()) {
    *why = "the marks of object numbers cannot be read";
    return marks.error();
  }
  auto volume = std::make_unique<DiskVolume>(std::move(disk), options, *marks);
  SCALEFS_TRY_VOID(volume->start(why));
  return std::unique_ptr<Volume>(std::move(volume));
}

}  // namespace scalefs::volume
