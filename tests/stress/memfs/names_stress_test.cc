// Names and attributes under real threads, meant for the thread sanitizer: random calls on a few directories
// while one thread maintains, then a look at what is left.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "base/core.h"
#include "base/epoch.h"
#include "base/random.h"
#include "memfs/memfs.h"

namespace scalefs::memfs {
namespace {

constexpr int kThreads = 4;
constexpr int kSteps = 4000;
const Caller kCaller{1, 1, 022};

LoadedObject root_object() {
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.parent = kRootMnode;
  return root;
}

class NamesStress {
 public:
  NamesStress() : fs_({.hash_key = {3, 4}}, nullptr, nullptr) {
    fs_.install_root(root_object());
    directories_.push_back(kRootMnode);
    for (const char* name : {"p", "q", "r"})
      directories_.push_back(fs_.mkdir(kRootMnode, name, 0755, kCaller)->attr.mnode);
  }

  void work(uint64_t seed) {
    Random random(seed);
    const auto directory = [&] { return directories_[random.below(directories_.size())]; };
    const auto name = [&] { return "n" + std::to_string(random.below(300)); };
    const auto give_back = [&](const Result<Entry>& entry) {
      if (entry.ok()) fs_.forget(entry->attr.mnode, 1);
    };
    for (int i = 0; i < kSteps; ++i) {
      const MnodeNo d = directory();
      switch (random.below(11)) {
        case 0:
        case 1: give_back(fs_.create(d, name(), 0644, random.percent(50), kCaller)); break;
        case 2: give_back(fs_.mkdir(d, name(), 0755, kCaller)); break;
        case 3:
        case 4: (void)fs_.unlink(d, name()); break;
        case 5: (void)fs_.rmdir(d, name()); break;
        case 6:
          (void)fs_.rename(d, name(), directory(), name(), static_cast<RenameMode>(random.below(3)),
                           kCaller);
          break;
        case 7: {
          const auto target = fs_.lookup(directory(), name());
          if (!target.ok()) break;
          give_back(fs_.link(target->attr.mnode, d, name()));
          SetAttr change;
          change.mode = static_cast<uint32_t>(random.below(01000));
          change.mtime_ns = 5;
          EXPECT_TRUE(fs_.setattr(target->attr.mnode, change).ok());
          const std::byte value[] = {std::byte{1}};
          (void)fs_.setxattr(target->attr.mnode, "trusted.x", value, XattrMode::set);
          (void)fs_.getxattr(target->attr.mnode, "trusted.x");
          fs_.forget(target->attr.mnode, 1);
          break;
        }
        case 8:
          if (i % 16 != 0) break;
          EXPECT_TRUE(fs_.readdir(d, 0, [](const DirectoryEntry&) { return true; }).ok());
          break;
        default: {
          const auto found = fs_.lookup(d, name());
          if (!found.ok()) break;
          EXPECT_TRUE(fs_.getattr(found->attr.mnode).ok());  // its lookup keeps it
          fs_.forget(found->attr.mnode, 1);
        }
      }
    }
  }

  // Counts what can be reached; that must be all there is.
  void check() {
    for (int i = 0; i < 20 && fs_.maintain(); ++i) {
    }
    std::map<MnodeNo, uint32_t> links{{kRootMnode, 2}};
    walk(kRootMnode, &links);
    for (const auto& [number, count] : links) {
      const auto attr = fs_.getattr(number);
      ASSERT_TRUE(attr.ok());
      EXPECT_EQ(attr->nlink, count) << number.v;
    }
    EXPECT_EQ(fs_.usage().mnodes, links.size());
  }

  MemFs& fs() { return fs_; }

 private:
  void walk(MnodeNo directory, std::map<MnodeNo, uint32_t>* links) {
    std::vector<MnodeNo> below;
    ASSERT_TRUE(fs_.readdir(directory, 2, [&](const DirectoryEntry& e) {
                     const bool is_directory = e.type == 4;
                     (*links)[e.mnode] += is_directory ? 2 : 1;
                     if (is_directory) {
                       ++(*links)[directory];
                       below.push_back(e.mnode);
                     }
                     return true;
                   }).ok());
    for (const MnodeNo d : below) walk(d, links);
  }

  MemFs fs_;
  std::vector<MnodeNo> directories_;
};

TEST(NamesStress, WhatCanBeReachedIsAllThereIs) {
  const uint32_t real_cores = core_count();
  set_core_count_for_test(3);  // fewer slots than threads
  NamesStress stress;
  Atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      set_thread_core(t % 3);
      stress.work(static_cast<uint64_t>(t) + 1);
      running.fetch_sub(1, release);  // pairs with the load below
    });
  }
  while (running.load(acquire) != 0) {
    (void)stress.fs().maintain();
    std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();
  stress.check();
  epoch::drain();
  set_core_count_for_test(real_cores);
}

// Each thread moves any directory to any other, most of them below each other.
TEST(NamesStress, DirectoriesThatMoveStayATree) {
  constexpr uint64_t kDirectories = 8;
  constexpr int kMoves = 20000;
  MemFs fs({.hash_key = {3, 4}}, nullptr, nullptr);
  fs.install_root(root_object());
  std::vector<MnodeNo> directories{kRootMnode};
  for (uint64_t i = 0; i < kDirectories; ++i)
    directories.push_back(fs.mkdir(kRootMnode, std::to_string(i), 0755, kCaller)->attr.mnode);
  std::vector<std::thread> threads;
  Atomic<uint64_t> moved{0};
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(t + 1);
      uint64_t done = 0;
      for (int i = 0; i < kMoves; ++i) {
        const uint64_t which = random.below(kDirectories);
        const auto up = fs.lookup(directories[which + 1], "..");
        ASSERT_TRUE(up.ok());
        const std::string name = std::to_string(which);
        done += fs.rename(up->attr.mnode, name, directories[random.below(directories.size())], name,
                          RenameMode::no_replace, kCaller)
                    .ok();
        fs.forget(up->attr.mnode, 1);
      }
      moved.fetch_add(done, relaxed);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(moved.load(relaxed), 0u);
  for (const MnodeNo directory : directories) {
    MnodeNo at = directory;
    for (uint64_t i = 0; i < kDirectories && at != kRootMnode; ++i) {
      const auto up = fs.lookup(at, "..");
      ASSERT_TRUE(up.ok());
      at = up->attr.mnode;
      fs.forget(at, 1);
    }
    EXPECT_EQ(at, kRootMnode);
  }
  epoch::drain();
}

}  // namespace
}  // namespace scalefs::memfs
