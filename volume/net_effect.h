// What the records of one batch amount to: the objects that they touch, with their attributes after
// the last of them, and the names that they change. Filled by the record visitor (record_visitor.h),
// read by the translator, which makes operations of it.
//
// Keys and contents are views of the records. Not thread-safe.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "volume/page_changes.h"
#include "volume/translator.h"

namespace scalefs::volume {

struct ObjectChange {
  MnodeNo mnode;
  Ino ino;                     // none while the object is born here
  bool born = false;
  bool dead = false;
  bool was_orphan = false;     // the tree has an orphan item
  diskfs::InodeItem before;    // as committed; all zero when born
  diskfs::InodeItem item;
  // The mtime was set to later than the ctime: whatever changes the directory next replaces it. As Mnode::mtime_ahead.
  bool mtime_ahead = false;
  // The latest time of a change that a record had as its own (memfs::kSizeUnchanged) since the mtime was last set.
  // A record that says what the object showed may have been made before that change was seen.
  int64_t own_mtime_ns = INT64_MIN;
  ObjectChange* parent = nullptr;  // of a directory that got a (new) parent here
  std::unique_ptr<PageChanges> pages;
  std::map<std::string_view, std::optional<ConstBytes>> xattrs;

  PageChanges& page_changes() {
    if (!pages) pages = std::make_unique<PageChanges>();
    return *pages;
  }
  // Born and dead in one batch: nothing of it meets the disk.
  bool absorbed() const { return born && dead; }
};

struct NameChange {
  ObjectChange* dir = nullptr;
  std::string_view name;
  bool was_there = false;          // before this batch
  ObjectChange* target = nullptr;  // null: the name is gone
  uint8_t type = 0;
};

class NetEffect {
 public:
  explicit NetEffect(CommittedState& state) : state_(state) {}

  // The object, with its committed attributes if it was not touched before. EUCLEAN: unknown or dead.
  Result<ObjectChange*> object(MnodeNo mnode);
  // A new object; EUCLEAN when the number is known already.
  Result<ObjectChange*> create(MnodeNo mnode);
  // The name means `target` now (null: nothing). `is_there`: it meant something until now.
  void set_name(ObjectChange* dir, std::string_view name, bool is_there, ObjectChange* target,
                uint8_t type);

  std::deque<ObjectChange>& objects() { return objects_; }  // in order of first touch
  const std::deque<NameChange>& names() const { return names_; }

 private:
  struct NameKey {
    const ObjectChange* dir;
    std::string_view name;
    friend bool operator==(const NameKey&, const NameKey&) = default;
  };
  struct NameKeyHash {
    size_t operator()(const NameKey& key) const {
      return std::hash<std::string_view>()(key.name) ^ std::hash<const void*>()(key.dir);
    }
  };
  CommittedState& state_;
  std::deque<ObjectChange> objects_;
  std::deque<NameChange> names_;
  std::unordered_map<MnodeNo, ObjectChange*> by_mnode_;
  std::unordered_map<NameKey, NameChange*, NameKeyHash> by_name_;
};

}  // namespace scalefs::volume
