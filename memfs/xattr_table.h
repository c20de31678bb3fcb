// The extended attributes of one object in memory, so that changes of different names meet nowhere: buckets by
// name, each on a line of its own with the lock and the last stamp of its changes, and access control lists apart, which
// are read by whoever makes an object in the directory and change with the mode, under Mnode::mode_lock.
//
// Each bucket holds an immutable set of names (XattrSet), replaced as a whole and retired by epoch, and values in cells of
// their own, replaced and retired likewise: readers take no lock and write nothing. A bucket is made when the first name
// needs it and stays as long as the object.
//
// A call that would change nothing but the ctime writes no bucket: it looks first (xattr.cc).
//
// Memory: 64 bytes an object that has any, 128 bytes a bucket in use, the sets, and 64 bytes and the value a name.
#pragma once

#include "base/mutex.h"
#include "memfs/types.h"
#include "memfs/xattr_set.h"

namespace scalefs::memfs {

class XattrTable {
 public:
  struct alignas(64) Bucket {
    Mutex lock;  // over stamp, publication and append
    // Written under `lock`, before the set or the value that it belongs to: whoever sees that sees its stamp.
    Atomic<Stamp> stamp{0};
    // Apart from what a new value of a name writes.
    alignas(64) Atomic<const XattrSet*> set{nullptr};  // null: empty
  };

  explicit XattrTable(const XattrPairs& pairs);
  ~XattrTable();  // nobody else can see it any more
  XattrTable(const XattrTable&) = delete;
  XattrTable& operator=(const XattrTable&) = delete;

  // The access control lists. Release stores under mode_lock.
  Atomic<const XattrSet*>& acls() { return acls_; }

  // Where a name that is no access control list stands; null: no such name was ever set.
  Bucket* find_bucket(std::string_view name) const;
  // Makes it when it is not there. Allocates.
  Bucket& bucket(std::string_view name);

  // --- Under an EpochGuard, or under the lock of what is looked at.
  // Null when there is none of that name. `stamp`: of the last change in its bucket.
  const StoredXattr* find(std::string_view name, Stamp* stamp = nullptr) const;
  const StoredXattr* find_acl(std::string_view name) const;
  // All of one moment, ascending.
  std::vector<std::string> names() const;
  // The largest stamp of any bucket.
  Stamp last_stamp() const;

 private:
  static constexpr size_t kBuckets = 7;
  static size_t index_of(std::string_view name);

  Atomic<const XattrSet*> acls_{nullptr};
  Atomic<Bucket*> buckets_[kBuckets];
};

}  // namespace scalefs::memfs
