// A volume with a tree of some nodes, and kinds of damage done to one named field of it each.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "diskfs/memory_device.h"
#include "tests/support/image_surgeon.h"
#include "tests/support/random_volume.h"

namespace scalefs::testing {

struct RepairSample {
  RepairSample();

  // Work below the rules of the tree, then a checkpoint.
  void operate(const std::function<void(diskfs::ImageSurgeon&)>& work);
  void flip(uint64_t block, size_t offset);
  // Files "/directory/new0" and on, a batch each, left in the journal.
  void leave_batches(int count);
  diskfs::Superblock superblock();
  // The leaf that holds the inode.
  uint64_t leaf_of(Ino ino);
  diskfs::Mapping mapping(diskfs::ImageSurgeon& s, Ino ino, uint64_t page);
  void put(diskfs::ImageSurgeon& s, Ino ino, const diskfs::Mapping& mapping);

  diskfs::MemoryDevice device{2048};
  std::unique_ptr<diskfs::RandomVolume> content;
  Ino file, dir, sub, link, big, many, one_of_many;
};

struct RepairDamage {
  const char* name;
  // What may look different afterwards, with all below it (without, behind a "="); "*" is everything.
  std::vector<std::string> touches;
  bool loses = false;    // something is told to be lost
  bool refused = false;  // there is nothing to repair from
  std::function<void(RepairSample&)> make;
};

const std::vector<RepairDamage>& repair_damages();

}  // namespace scalefs::testing
