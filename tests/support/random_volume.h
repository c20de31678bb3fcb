// Builds volumes whose content makes sense as a file system (links count right, names lead
// somewhere), through Batch and DiskFs: a small fixed one, or any by a seed. For tests of the
// checker; what the daemon writes comes from volume/ instead.
//
// Not thread-safe. Every failing call is a failure of the running test.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "diskfs/diskfs.h"
#include "diskfs/items.h"

namespace scalefs::diskfs {

// A formatted volume of `blocks` blocks with everything in it fixed but what the caller adds.
void format_small(BlockDevice& device, uint64_t journal_blocks = 64);

class RandomVolume {
 public:
  struct Object {
    InodeItem item;
    std::map<std::string, Ino> entries;    // directories
    std::map<uint64_t, ByteVector> pages;  // content, whole pages; unwritten ones are zeros
    std::map<std::string, ByteVector> xattrs;
  };

  // `fs` is a freshly formatted volume and must outlive the object (see reopen).
  RandomVolume(DiskFs& fs, uint64_t seed);
  // Goes on with another mount of the same volume.
  void reopen(DiskFs& fs) { fs_ = &fs; }

  Ino make(Ino parent, const std::string& name, uint32_t mode, uint64_t rdev = 0);
  Ino symlink(Ino parent, const std::string& name, const std::string& target);
  void link(Ino ino, Ino parent, const std::string& name);
  // The last link goes: the inode is an orphan (if `open`) or deleted.
  void unlink(Ino parent, const std::string& name, bool open = false);
  void rename(Ino from, const std::string& old_name, Ino to, const std::string& new_name);
  // Content of whole pages, placed in blocks now or carried in the batch.
  void write(Ino ino, uint64_t page, const std::vector<ByteVector>& pages);
  void write_inline(Ino ino, uint64_t page, const ByteVector& content);
  void allocate(Ino ino, uint64_t page, uint64_t count);
  void punch(Ino ino, uint64_t page, uint64_t count);
  void set_size(Ino ino, uint64_t size);
  void set_xattr(Ino ino, const std::string& name, const ByteVector& value);
  void remove_xattr(Ino ino, const std::string& name);
  void commit();

  // One random operation; commits now and then.
  void random_step();
  // A little of everything, the same for one seed.
  void fill();

  const Object& object(Ino ino) const { return objects_.at(ino.v); }

  Random random;

 private:
  Ino new_ino();
  InodeItem new_item(uint32_t mode);
  void put(Ino ino);
  void add_name(Ino parent, const std::string& name, Ino ino);
  ByteVector random_bytes(size_t size);
  Ino random_object(bool directory);
  std::string random_name();
  bool is_within(Ino directory, Ino ancestor) const;
  void random_name_step();
  void random_data_step();

  DiskFs* fs_;
  Batch batch_;
  std::map<uint64_t, Object> objects_;
  uint64_t next_counter_ = 1;  // of mnode numbers in slot 3
  int64_t now_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace scalefs::diskfs
