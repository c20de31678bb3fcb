#include "memfs/xattr_table.h"

#include <algorithm>
#include <array>
#include <memory>

#include "base/memory.h"
#include "memfs/acl.h"

namespace scalefs::memfs {

XattrTable::XattrTable(const XattrPairs& pairs) {
  memory_count(MemoryClass::xattr, sizeof(XattrTable));
  // Relaxed: nobody else can see the table yet.
  const auto add = [](Atomic<const XattrSet*>& set, const std::string& name, ConstBytes value) {
    static const XattrSet none;
    const XattrSet* old = set.load(relaxed);
    set.store((old != nullptr ? *old : none).with(name, value).release(), relaxed);
    delete old;
  };
  for (const auto& [name, value] : pairs)
    add(is_acl_name(name) ? acls_ : bucket(name).set, name, value);
}

XattrTable::~XattrTable() {
  int64_t bytes = sizeof(XattrTable);
  delete acls_.load(relaxed);
  for (auto& slot : buckets_) {
    Bucket* bucket = slot.load(relaxed);
    if (bucket == nullptr) continue;
    delete bucket->set.load(relaxed);
    delete bucket;
    bytes += sizeof(Bucket);
  }
  memory_count(MemoryClass::xattr, -bytes);
}

// FNV-1a, folded: names that differ in their last letter alone are the ordinary case.
size_t XattrTable::index_of(std::string_view name) {
  uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return (hash ^ (hash >> 16)) % kBuckets;
}

XattrTable::Bucket* XattrTable::find_bucket(std::string_view name) const {
  return buckets_[index_of(name)].load(acquire);  // pairs with bucket()
}

XattrTable::Bucket& XattrTable::bucket(std::string_view name) {
  Atomic<Bucket*>& slot = buckets_[index_of(name)];
  Bucket* present = slot.load(acquire);
  if (present != nullptr) return *present;
  auto fresh = std::make_unique<Bucket>();
  // Pairs with the loads above and in find_bucket.
  if (!slot.compare_exchange(present, fresh.get(), acq_rel, acquire)) return *present;
  memory_count(MemoryClass::xattr, sizeof(Bucket));
  return *fresh.release();
}

const StoredXattr* XattrTable::find_acl(std::string_view name) const {
  const XattrSet* set = acls_.load(acquire);  // pairs with publish_xattrs
  return set != nullptr ? set->find(name) : nullptr;
}

const StoredXattr* XattrTable::find(std::string_view name, Stamp* stamp) const {
  if (is_acl_name(name)) return find_acl(name);
  const Bucket* bucket = find_bucket(name);
  if (bucket == nullptr) return nullptr;
  const XattrSet* set = bucket->set.load(acquire);  // pairs with publish_xattrs
  const StoredXattr* found = set != nullptr ? set->find(name) : nullptr;
  if (stamp != nullptr) *stamp = bucket->stamp.load(acquire);
  return found;
}

// Sets are never published twice, and what an EpochGuard has seen is not freed: two equal looks are one moment.
std::vector<std::string> XattrTable::names() const {
  const auto look = [this] {
    std::array<const XattrSet*, kBuckets + 1> sets{};
    sets[kBuckets] = acls_.load(acquire);  // pairs with publish_xattrs
    for (size_t i = 0; i < kBuckets; ++i)
      if (const Bucket* bucket = buckets_[i].load(acquire)) sets[i] = bucket->set.load(acquire);
    return sets;
  };
  auto sets = look();
  for (auto again = look(); again != sets; again = look()) sets = again;
  std::vector<std::string> names;
  for (const XattrSet* set : sets)
    if (set != nullptr) set->append_names(&names);
  std::sort(names.begin(), names.end());
  return names;
}

Stamp XattrTable::last_stamp() const {
  Stamp last = 0;
  for (const auto& slot : buckets_)
    if (const Bucket* bucket = slot.load(acquire))
      last = std::max(last, bucket->stamp.load(acquire));
  return last;
}

}  // namespace scalefs::memfs
