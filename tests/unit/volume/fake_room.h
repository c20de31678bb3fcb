// A volume in numbers, for what asks for room.
#pragma once

#include <algorithm>
#include <functional>

#include "volume/room.h"

namespace scalefs::volume {

class FakeRoom : public Room {
 public:
  uint64_t free_blocks() override { return free; }
  // A tree with so many nodes that only what is asked for counts.
  uint64_t checkpoint_bound(const diskfs::PendingWork& more) override {
    ++looks;
    return bound + more.places + more.items;
  }
  uint64_t inodes_bound() override { return inodes; }
  uint64_t logged_places() override { return places; }
  uint64_t log_operations() override { return operations; }
  uint64_t log_bytes() override {
    ++log_looks;
    return log;
  }
  uint64_t page_bytes() override {
    ++page_looks;
    return pages;
  }
  uint64_t dirty_bytes() override { return dirty; }
  Status commit() override {
    ++commits;
    log = operations = places = 0;
    return commit_status;
  }
  Status recover_space() override {
    ++recoveries;
    if (on_recovery) on_recovery();
    operations = places = bound = 0;
    free += freed_by_recovery;
    freed_by_recovery = 0;
    return {};
  }
  bool write_back_some() override {
    if (dirty == 0) return false;
    dirty -= std::min<uint64_t>(dirty, 8192);
    ++writebacks;
    return true;
  }
  uint64_t evict_pages(uint64_t target) override {
    pages = std::max({target, dirty + unevictable, std::min(pages, target)});
    return pages;
  }
  Status settle_pages() override {
    ++settles;
    unevictable = 0;
    return {};
  }
  void want_commit() override { ++wanted_commits; }
  void want_write_back() override { ++wanted_writebacks; }
  void want_checkpoint() override {}

  uint64_t free = 10000, bound = 0, places = 0, inodes = 0, operations = 0, log = 0;
  uint64_t pages = 0, dirty = 0, unevictable = 0;
  uint64_t freed_by_recovery = 0;
  std::function<void()> on_recovery;
  int commits = 0, recoveries = 0, writebacks = 0, settles = 0;
  int looks = 0, log_looks = 0, page_looks = 0;
  int wanted_commits = 0, wanted_writebacks = 0;
  Status commit_status;
};

}  // namespace scalefs::volume
