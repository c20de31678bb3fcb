// Names whose hashes are equal (P9), beside others: random calls against a map, in memory and on a disk with commits,
// checkpoints, remounts and crashes between them. SCALEFS_SEED=n runs one seed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "base/random.h"
#include "memfs/memfs.h"
#include "tests/support/equal_hashes.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"
#include "volume/volume.h"

namespace scalefs::volume {
namespace {

using memfs::RenameMode;
using testing::kEqualHashes;
using testing::kEqualHashesKey;

TEST(EqualHashes, AreEqual) {
  std::set<std::string_view> names;
  for (const auto& pair : kEqualHashes) {
    EXPECT_EQ(siphash24(kEqualHashesKey, pair[0]), siphash24(kEqualHashesKey, pair[1]));
    names.insert({pair[0], pair[1]});
  }
  EXPECT_EQ(names.size(), 2 * std::size(kEqualHashes));
}

// Two directories of files, and what they should be.
class Names {
 public:
  Names(memfs::MemFs& fs, uint64_t seed) : random_(seed) {
    for (const auto& pair : kEqualHashes) words_.insert(words_.end(), pair.begin(), pair.end());
    for (int i = 0; i < 4; ++i) words_.push_back(fmt::format("other{}", i));
    mounted(fs);
    for (const std::string dir : {"d", "e"}) {
      EXPECT_TRUE(fs.mkdir(kRootMnode, dir, 0755, {}).ok());
      dirs_[dir];
    }
  }
  void mounted(memfs::MemFs& fs) { fs_ = &fs; }

  void call() {
    const auto [dir, name] = place();
    const auto [to_dir, to_name] = place();
    auto& from = dirs_[dir];
    auto& to = dirs_[to_dir];
    const bool there = from.contains(name);
    switch (random_.below(9)) {
      case 0:
      case 1:
      case 2: {
        const bool folder = random_.percent(30);
        const auto made = folder ? fs_->mkdir(of(dir), name, 0755, {})
                                 : fs_->create(of(dir), name, 0644, true, {});
        EXPECT_EQ(made.code(), there ? EEXIST : 0);
        if (made.ok()) from[name] = {made->attr.mnode, folder};
        break;
      }
      case 3: {
        const bool folder = there && from[name].folder;
        EXPECT_EQ(fs_->unlink(of(dir), name).code(), !there ? ENOENT : folder ? EISDIR : 0);
        if (there && !folder) from.erase(name);
        break;
      }
      case 4: {
        const bool folder = there && from[name].folder;
        EXPECT_EQ(fs_->rmdir(of(dir), name).code(), !there ? ENOENT : folder ? 0 : ENOTDIR);
        if (folder) from.erase(name);
        break;
      }
      case 5: {
        if (!there || from[name].folder) break;
        const auto found = fs_->lookup(of(dir), name);
        ASSERT_TRUE(found.ok()) << found.code();
        const auto made = fs_->link(found->attr.mnode, of(to_dir), to_name);
        EXPECT_EQ(made.code(), to.contains(to_name) ? EEXIST : 0);
        if (made.ok()) to[to_name] = from[name];
        break;
      }
      default: rename(dir, name, to_dir, to_name); break;
    }
  }

  // Every name is looked for in every directory, in any order, and the listings are whole from wherever they begin.
  void check() {
    for (const auto& [dir, children] : dirs_) {
      for (size_t i = 0; i < words_.size(); ++i) {
        const std::string& name = words_[random_.below(words_.size())];
        const auto found = fs_->lookup(of(dir), name);
        const auto known = children.find(name);
        ASSERT_EQ(found.code(), known == children.end() ? ENOENT : 0) << dir << "/" << name;
        if (!found.ok()) continue;
        EXPECT_EQ(found->attr.mnode, known->second.object);
        EXPECT_EQ(S_ISDIR(found->attr.mode), known->second.folder);
        fs_->forget(found->attr.mnode, 1);
      }
      check_listings(of(dir), children);
    }
  }

 private:
  struct Child {
    MnodeNo object;
    bool folder = false;
  };
  using Children = std::map<std::string, Child>;

  std::pair<std::string, std::string> place() {
    return {random_.percent(50) ? "d" : "e", words_[random_.below(words_.size())]};
  }
  MnodeNo of(const std::string& dir) {
    const auto found = fs_->lookup(kRootMnode, dir);
    EXPECT_TRUE(found.ok());
    if (!found.ok()) return {};
    fs_->forget(found->attr.mnode, 1);
    return found->attr.mnode;
  }

  // Names without . and .., each with the cookie behind it.
  std::vector<std::pair<std::string, uint64_t>> list(MnodeNo dir, uint64_t cookie, size_t count) {
    std::vector<std::pair<std::string, uint64_t>> names;
    EXPECT_TRUE(fs_->readdir(dir, cookie, [&](const memfs::DirectoryEntry& entry) {
                      if (entry.name == "." || entry.name == "..") return true;
                      if (names.size() == count) return false;
                      names.emplace_back(entry.name, entry.next_cookie);
                      return true;
                    }).ok());
    return names;
  }

  void check_listings(MnodeNo dir, const Children& children) {
    const auto whole = list(dir, 0, SIZE_MAX);
    std::set<std::string> names;
    for (const auto& [name, cookie] : whole) {
      EXPECT_TRUE(names.insert(name).second) << name << " twice";
      EXPECT_TRUE(children.contains(name)) << name;
    }
    EXPECT_EQ(names.size(), children.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      std::set<std::string> rest;
      for (const auto& [name, cookie] : list(dir, whole[i].second, SIZE_MAX)) rest.insert(name);
      for (size_t j = i + 1; j < whole.size(); ++j)
        EXPECT_TRUE(rest.contains(whole[j].first)) << "lost by a seek behind " << whole[i].first;
      // Of those in front at the most the other one of an equal hash, or itself.
      for (size_t j = 0; j <= i; ++j) {
        const bool equal = siphash24(kEqualHashesKey, whole[j].first) == siphash24(kEqualHashesKey, whole[i].first);
        EXPECT_TRUE(equal || !rest.contains(whole[j].first));
      }
    }
    // Piece by piece, as one with little room for answers does.
    for (const size_t count : {2, 3}) {
      std::set<std::string> seen;
      uint64_t cookie = 0;
      for (size_t pieces = 0; pieces <= 2 * children.size() + 2; ++pieces) {
        const auto piece = list(dir, cookie, count);
        if (piece.empty()) break;
        for (const auto& [name, next] : piece) seen.insert(name);
        cookie = piece.back().second;
      }
      EXPECT_EQ(seen, names);
    }
  }

  void rename(const std::string& dir, const std::string& name, const std::string& to_dir,
              const std::string& to_name) {
    auto& from = dirs_[dir];
    auto& to = dirs_[to_dir];
    const bool exchange = random_.percent(30);
    const auto moved = from.find(name);
    const auto replaced = to.find(to_name);
    const int code = fs_->rename(of(dir), name, of(to_dir), to_name,
                                 exchange ? RenameMode::exchange : RenameMode::replace, {}).code();
    if (moved == from.end() || (exchange && replaced == to.end())) {
      EXPECT_EQ(code, ENOENT);
      return;
    }
    if (replaced != to.end() && moved->second.object == replaced->second.object) {
      EXPECT_EQ(code, 0);
      return;
    }
    if (exchange) {
      EXPECT_EQ(code, 0);
      std::swap(moved->second, replaced->second);
      return;
    }
    const bool folder = moved->second.folder;
    if (replaced != to.end() && replaced->second.folder != folder) {
      EXPECT_EQ(code, folder ? ENOTDIR : EISDIR);
      return;
    }
    EXPECT_EQ(code, 0);
    const Child child = moved->second;
    from.erase(moved);
    to[to_name] = child;
  }

  memfs::MemFs* fs_ = nullptr;
  Random random_;
  std::vector<std::string> words_;
  std::map<std::string, Children> dirs_;
};

std::vector<uint64_t> seeds(uint64_t count) {
  uint64_t given = 0;
  if (testing::seed_given(&given)) return {given};
  std::vector<uint64_t> all;
  for (uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

TEST(EqualHashes, InMemory) {
  for (const uint64_t seed : seeds(testing::seeds_of(40))) {
    SCOPED_TRACE(fmt::format("SCALEFS_SEED={}", seed));
    memfs::MemFs fs({.hash_key = kEqualHashesKey}, nullptr, nullptr);
    memfs::LoadedObject root;
    root.attr.mnode = kRootMnode;
    root.attr.mode = S_IFDIR | 0755;
    root.attr.nlink = 2;
    root.parent = kRootMnode;
    fs.install_root(root);
    fs.set_mnode_numbers(0, 1, kMnodeNoLimit >> kCoreBits);
    Names names(fs, seed);
    for (int i = 0; i < 200; ++i) {
      names.call();
      if (i % 10 == 0) fs.maintain();
      if (i % 5 == 0) names.check();
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
}

TEST(EqualHashes, OnDisk) {
  for (const uint64_t seed : seeds(testing::seeds_of(40))) {
    SCOPED_TRACE(fmt::format("SCALEFS_SEED={}", seed));
    const auto device = testing::formatted_device(16u << 20);
    VolumeOptions options;
    options.threads = false;
    std::string why;
    std::unique_ptr<Volume> volume;
    const auto mount = [&] {
      auto mounted = Volume::mount(*device, options, &why);
      ASSERT_TRUE(mounted.ok()) << why;
      volume = std::move(*mounted);
    };
    mount();
    ASSERT_EQ(volume->info().hash_key, kEqualHashesKey);
    Names names(volume->fs(), seed);
    Random random(seed);
    for (int i = 0; i < 200; ++i) {
      names.call();
      const uint64_t step = random.below(40);
      if (step == 0) volume->step_commit();
      if (step == 1) volume->step_checkpoint();
      if (step == 2) volume->step_maintenance();
      if (step == 3 || step == 4) {
        ASSERT_TRUE(step == 3 ? volume->unmount().ok() : volume->sync().ok());
        volume->shutdown();
        volume.reset();
        ASSERT_EQ(testing::check_image(*device), "");
        mount();
        names.mounted(volume->fs());
      }
      if (i % 5 == 0 || step <= 4) names.check();
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
    ASSERT_TRUE(volume->unmount().ok());
    volume.reset();
    ASSERT_EQ(testing::check_image(*device), "");
  }
}

}  // namespace
}  // namespace scalefs::volume
