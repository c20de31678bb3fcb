// What the scheduled tests of names share.
#pragma once

#include <sys/stat.h>

#include <array>
#include <memory>
#include <string>

#include "base/epoch.h"
#include "memfs/memfs.h"
#include "tests/support/equal_hashes.h"
#include "tests/support/seeds.h"

namespace scalefs::memfs {

inline const Caller kCaller{1, 1, 0};

inline std::unique_ptr<MemFs> memory_fs() {
  auto fs = std::make_unique<MemFs>(MemFsOptions{.hash_key = testing::kEqualHashesKey}, nullptr, nullptr);
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.parent = kRootMnode;
  fs->install_root(root);
  return fs;
}

// Few switches let a thread come far between two steps of another, many let all meet in one place.
inline int percent_of(uint64_t seed) { return std::array{1, 4, 30}[seed % 3]; }

// Runs `world(seed)` for the seeds of this test; the first complaint, with its seed.
template <class World>
std::string first_wrong(uint64_t seeds, World world) {
  uint64_t given = 0;
  const bool one = testing::seed_given(&given);
  for (uint64_t seed = one ? given : 1; seed <= (one ? given : seeds); ++seed) {
    { EpochGuard guard; }  // the records of this thread are there in every run
    epoch::drain();
    const std::string wrong = world(seed);
    if (!wrong.empty()) return "SCALEFS_SEED=" + std::to_string(seed) + ": " + wrong;
  }
  return {};
}

}  // namespace scalefs::memfs
