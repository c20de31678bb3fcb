// State of MemFS' data half that belongs to no single file: which objects are dirty, which have pages in
// memory, and how many pages there are.
#pragma once

#include "base/atomic.h"
#include "base/core.h"
#include "base/units.h"
#include "memfs/link_queue.h"
#include "memfs/types.h"

namespace scalefs::memfs {

class DataHalf {
 public:
  LinkQueue dirty;   // Mnode::dirty_link: objects with something that no record carries yet
  LinkQueue cached;  // FileNode::cached_link_: files with pages in memory

  void count_page(int64_t pages) { counts_.mine().pages.add(static_cast<uint64_t>(pages)); }
  void count_dirty(int64_t pages) { counts_.mine().dirty.add(static_cast<uint64_t>(pages)); }
  uint64_t page_bytes() const { return sum(&Counts::pages) * kBlockBytes; }
  uint64_t dirty_bytes() const { return sum(&Counts::dirty) * kBlockBytes; }
  void add_usage(Usage& usage) const {
    usage.page_bytes += page_bytes();
    usage.dirty_bytes += dirty_bytes();
  }

 private:
  // Modulo 2^64: a page may be added on one core and taken away on another.
  struct Counts {
    RelaxedCounter pages;
    RelaxedCounter dirty;
  };
  uint64_t sum(RelaxedCounter Counts::*which) const {
    uint64_t total = 0;
    for (uint32_t core = 0; core < counts_.size(); ++core) total += (counts_.at(core).*which).get();
    return static_cast<int64_t>(total) < 0 ? 0 : total;
  }
  PerCore<Counts> counts_;
};

}  // namespace scalefs::memfs
