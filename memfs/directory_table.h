// The array of buckets behind a DirectoryNode. See directory.h.
#pragma once

#include <memory>

#include "base/huge_array.h"
#include "memfs/directory.h"

namespace scalefs::memfs {

// On a line of its own: every name call reads it.
struct alignas(64) DirectoryNode::Table {
  Table(uint32_t b, uint32_t chain);
  ~Table();
  size_t size() const { return size_t{1} << bits; }
  size_t index(uint64_t hash) const { return static_cast<size_t>(hash >> (64 - bits)); }
  NameBucket& bucket(uint64_t hash) const { return buckets[index(hash)]; }
  // Links everything that `from` has into this array, which nobody sees yet.
  void take_over(const Table& from);

  const uint32_t bits;  // at least 1
  uint32_t which;       // of the two next pointers; constant once published
  const HugeArray<NameBucket> buckets;
  // Told when the memory goes, which is when the last reader is off.
  std::shared_ptr<Atomic<bool>> gone;
};

}  // namespace scalefs::memfs
