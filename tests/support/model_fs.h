// A reference file system for tests: the plainest possible tree of maps and strings, written from
// the manual pages. It shares no code with the rooms that it judges. Single-threaded.
//
// Objects have numbers of their own; a test keeps the translation. Calls return 0 or an errno.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace scalefs::testing {

using ModelId = uint64_t;  // 1 is the root, 0 none

struct ModelNode {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t rdev = 0;
  int64_t mtime = 0;
  int64_t ctime = 0;
  std::string data;            // regular files: content; symlinks: target
  std::set<uint64_t> mapped;   // pages that have data or are allocated
  bool mapping_known = true;   // false: calls left open which pages are mapped
  std::map<std::string, std::string> xattrs;
  std::map<std::string, ModelId> children;
  ModelId parent = 0;          // directories
  bool held = false;           // has a lookup, so it outlives its last name
  std::set<std::pair<ModelId, std::string>> names;

  bool is_dir() const { return (mode & 0170000) == 0040000; }
  bool is_file() const { return (mode & 0170000) == 0100000; }
  bool is_link() const { return (mode & 0170000) == 0120000; }
};

enum class ModelRename { replace, no_replace, exchange, whiteout };

class ModelFs {
 public:
  ModelFs();

  int make(ModelId dir, const std::string& name, uint32_t mode, uint64_t rdev, uint32_t uid,
           uint32_t gid, uint32_t umask, const std::string& target, ModelId* made);
  int make_tmpfile(ModelId dir, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t umask,
                   ModelId* made);
  int link(ModelId target, ModelId dir, const std::string& name);
  int unlink(ModelId dir, const std::string& name);
  int rmdir(ModelId dir, const std::string& name);
  int rename(ModelId source_dir, const std::string& source, ModelId target_dir,
             const std::string& target, ModelRename mode, ModelId* whiteout);
  int lookup(ModelId dir, const std::string& name, ModelId* found) const;

  void write(ModelId file, uint64_t offset, const std::string& bytes);
  std::string read(ModelId file, uint64_t offset, size_t size) const;
  void truncate(ModelId file, uint64_t size);
  void punch(ModelId file, uint64_t offset, uint64_t length);
  void allocate(ModelId file, uint64_t offset, uint64_t length, bool keep_size, bool zero);

  ModelNode& node(ModelId id) { return nodes_.at(id); }
  const ModelNode& node(ModelId id) const { return nodes_.at(id); }
  bool exists(ModelId id) const { return nodes_.count(id) != 0; }
  const std::map<ModelId, ModelNode>& nodes() const { return nodes_; }
  // Forgets an object that has neither names nor a lookup.
  void drop_if_dead(ModelId id);
  // A remount: no lookups are left, and with them no objects without names.
  void drop_lookups();
  void set_time(int64_t ns) { now_ = ns; }
  int64_t time() const { return now_; }

 private:
  ModelId add_node(ModelId dir, uint32_t mode, uint64_t rdev, uint32_t uid, uint32_t gid,
                   uint32_t umask);
  void add_name(ModelId dir, const std::string& name, ModelId id);
  void remove_name(ModelId dir, const std::string& name);
  void lose_link(ModelId id);
  void touch_dir(ModelId dir);
  bool is_ancestor(ModelId ancestor, ModelId of) const;
  int check_rename(ModelId source_dir, ModelId moved, ModelId target_dir, ModelId replaced,
                   ModelRename mode) const;
  void exchange(ModelId source_dir, const std::string& source, ModelId target_dir,
                const std::string& target);

  std::map<ModelId, ModelNode> nodes_;
  ModelId next_ = 2;
  int64_t now_ = 1'000'000'000;
};

}  // namespace scalefs::testing
