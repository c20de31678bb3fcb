// A MemFs over FakeNames, and short words for calling it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <string>

#include "tests/support/fake_names.h"

namespace scalefs::memfs {

class LoadTest : public ::testing::Test {
 protected:
  MemFs& fs() { return disk_.fs(); }
  void SetUp() override { disk_.mount(); }
  MnodeNo made(const Result<Entry>& entry) {
    EXPECT_EQ(entry.code(), 0);
    if (!entry.ok()) return {};
    fs().forget(entry->attr.mnode, 1);
    return entry->attr.mnode;
  }
  MnodeNo file(MnodeNo parent, std::string_view name) {
    return made(fs().create(parent, name, 0644, true, caller_));
  }
  MnodeNo dir(MnodeNo parent, std::string_view name) {
    return made(fs().mkdir(parent, name, 0755, caller_));
  }
  int code(const Result<Entry>& entry) {
    if (entry.ok()) fs().forget(entry->attr.mnode, 1);
    return entry.code();
  }
  int look(MnodeNo parent, std::string_view name) { return code(fs().lookup(parent, name)); }
  std::set<std::string> list(MnodeNo directory) {
    std::set<std::string> names;
    EXPECT_TRUE(fs().readdir(directory, kCookieStart, [&](const DirectoryEntry& e) {
                      if (e.name == "." || e.name == "..") return true;
                      EXPECT_TRUE(names.emplace(e.name).second) << e.name;
                      return true;
                    }).ok());
    return names;
  }
  // Everything into the checkpoint, and a mount that has nothing in memory.
  void remount() {
    disk_.commit();
    disk_.checkpoint();
    disk_.mount();
    disk_.child_loads = disk_.entry_loads = disk_.xattr_loads = 0;
  }
  void durable() {
    disk_.commit();
    disk_.checkpoint();
    for (int i = 0; i < 10 && fs().maintain(); ++i) {
    }
  }

  static constexpr uint64_t kCookieStart = 0;
  FakeNames disk_;
  const Caller caller_{1000, 100, 022};
};

}  // namespace scalefs::memfs
