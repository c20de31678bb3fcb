// A small volume with something of everything that the format has, made through DiskFs, and what it
// must hold. Everything is the same every time: inode and mnode numbers, times, content.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "diskfs/diskfs.h"
#include "tests/support/listing.h"

namespace scalefs::testing {

class SampleVolume {
 public:
  // A freshly formatted volume, mounted. Failures of its calls are failures of the running test.
  explicit SampleVolume(diskfs::DiskFs& fs);
  ~SampleVolume();

  void fill();              // some batches
  void rewrite(int times);  // so many batches of five blocks; few changes
  void change();            // further ones, which change and remove much of it
  Listing listing() const;

 private:
  struct Object;
  using Id = size_t;

  Object& at(const std::string& path);
  Id add(uint32_t mode);
  void add_name(const std::string& path, Id id);
  void drop_name(const std::string& path);
  Object& make(const std::string& path, uint32_t mode);
  void link(const std::string& from, const std::string& to);
  void rename(const std::string& from, const std::string& to);
  void remove(const std::string& path, bool open = false);
  void write(Object& file, uint64_t page, uint64_t count, char seed);
  void write_inline(Object& file, uint64_t page, const std::string& content);
  void allocate(Object& file, uint64_t page, uint64_t count);
  void punch(Object& file, uint64_t page, uint64_t count);  // count 0: to the end
  void resize(Object& file, uint64_t size);
  void set_xattr(Object& object, const std::string& name, const std::string& value);
  void make_symlink(const std::string& path, const std::string& target);
  void make_directories();
  void make_files();
  void make_attributes();
  void save(Object& object);  // its attributes, into the batch
  void commit();

  diskfs::DiskFs& fs_;
  diskfs::Batch batch_;
  std::map<Id, Object> objects_;
  std::map<std::string, Id> paths_;
  Id unnamed_ = 0;  // was made without a name
  uint64_t next_mnode_ = 2;
  int64_t now_ = 1'700'000'000'000'000'000;
};

}  // namespace scalefs::testing
