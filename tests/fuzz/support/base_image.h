// The images that fuzz targets damage: 8 MiB, the same bytes every time, made once a process.
#pragma once

#include <vector>

#include "diskfs/memory_device.h"
#include "diskfs/superblock.h"

namespace scalefs::fuzz {

enum class PlaceKind : uint8_t { superblock, table, map, node, journal, data };

// A block of an image that says something.
struct Place {
  uint64_t block = 0;
  PlaceKind kind = PlaceKind::data;
  size_t used = 0;  // bytes from its start that say something; nodes fill the rest from the end
};

struct BaseImage {
  diskfs::MemoryDevice device{2048};
  diskfs::Superblock superblock;  // the newest
  std::vector<Place> places;      // in order of block
};

// Some directories, files of every kind and extended attributes, in a tree of some levels.
const BaseImage& unmounted_image();
// The same volume some batches later, which stand in the journal.
const BaseImage& crashed_image();

}  // namespace scalefs::fuzz
