// A MemFs without a backend, and short words for calling it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memfs/memfs.h"

namespace scalefs::memfs {

inline LoadedObject fresh_root() {
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.attr.generation = 1;
  root.parent = kRootMnode;
  return root;
}

class MemoryFsTest : public ::testing::Test {
 protected:
  explicit MemoryFsTest(MemFsOptions options = {.hash_key = {1, 2}}) : fs_(options, nullptr, nullptr) {
    fs_.install_root(fresh_root());
  }
  // The error of a call, 0 when it worked; lookups of entries are given back.
  int code(const Status& status) { return status.code(); }
  int code(const Result<Entry>& entry) {
    if (entry.ok()) fs_.forget(entry->attr.mnode, 1);
    return entry.code();
  }
  // Makes something that must work and keeps its lookup.
  MnodeNo dir(MnodeNo parent, std::string_view name, uint32_t mode = 0755) {
    return made(fs_.mkdir(parent, name, mode, caller_));
  }
  MnodeNo file(MnodeNo parent, std::string_view name, uint32_t mode = 0644) {
    return made(fs_.create(parent, name, mode, true, caller_));
  }
  MnodeNo made(const Result<Entry>& entry) {
    EXPECT_EQ(entry.code(), 0);
    return entry.ok() ? entry->attr.mnode : MnodeNo();
  }
  Attr stat(MnodeNo mnode) {
    const auto attr = fs_.getattr(mnode);
    EXPECT_EQ(attr.code(), 0);
    return attr.ok() ? *attr : Attr{};
  }
  // What the name means, 0 when nothing.
  MnodeNo find(MnodeNo parent, std::string_view name) {
    const auto entry = fs_.lookup(parent, name);
    if (!entry.ok()) {
      EXPECT_EQ(entry.code(), ENOENT) << name;
      return MnodeNo();
    }
    fs_.forget(entry->attr.mnode, 1);
    return entry->attr.mnode;
  }
  // Names without `.` and `..`, in order.
  std::vector<std::string> list(MnodeNo directory) {
    std::vector<std::string> names;
    const auto status = fs_.readdir(directory, 0, [&](const DirectoryEntry& e) {
      if (e.name != "." && e.name != "..") names.emplace_back(e.name);
      return true;
    });
    EXPECT_EQ(status.code(), 0);
    return names;
  }
  void settle() {
    for (int i = 0; i < 10 && fs_.maintain(); ++i) {
    }
  }

  MemFs fs_;
  Caller caller_{1000, 100, 022};
};

}  // namespace scalefs::memfs
