// Uses a mounted volume as programs do, bounded, whatever its image says. Aborts for what no image may
// cause; errors are counted.
#pragma once

#include <string>
#include <vector>

#include "volume/volume.h"

namespace scalefs::fuzz {

struct WalkReport {
  struct Name {
    MnodeNo dir;
    std::string name;
    uint32_t mode = 0;
  };
  std::vector<Name> names;  // found, with an object behind
  uint64_t errors = 0;      // of names and attributes
  uint64_t data_errors = 0;
  std::string first_error;
};

// lookup, readdir, readdirplus, getattr, read, seek, xattrs, readlink, statfs of what can be reached.
WalkReport walk_volume(volume::Volume& volume);

// Creates, writes, renames and removes, among what the walk found and beside it, then fsync and sync, all of
// which may fail.
void change_volume(volume::Volume& volume, const WalkReport& found);

// Mounts, walks, changes, unmounts; a volume that was unmounted in order must mount again. `sound`: the
// checker found nothing, so nothing but data may fail. A mount that is refused says why.
void use_image(diskfs::BlockDevice& device, bool sound);

}  // namespace scalefs::fuzz
