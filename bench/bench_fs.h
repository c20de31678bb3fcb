// The in-memory file systems that a benchmark's threads work on: one for all of them, or, as the control
// that shares nothing, one a thread.
#pragma once

#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "base/epoch.h"
#include "memfs/memfs.h"

namespace scalefs::bench {

inline std::unique_ptr<memfs::MemFs> make_fs() {
  auto made =
      std::make_unique<memfs::MemFs>(memfs::MemFsOptions{.hash_key = {1, 2}}, nullptr, nullptr);
  memfs::LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.parent = kRootMnode;
  made->install_root(root);
  return made;
}

// Of the benchmark that runs; made and ended by its first thread (Setup and Teardown). The benchmark's
// first argument, `private`, is 1 where each thread has its own.
inline std::vector<std::unique_ptr<memfs::MemFs>> file_systems;

inline void start(int count) {
  for (int i = 0; i < count; ++i) file_systems.push_back(make_fs());
}

inline void stop(const benchmark::State&) {
  file_systems.clear();
  epoch::drain();
}

inline memfs::MemFs& fs_of(int thread) {
  return *file_systems[static_cast<size_t>(thread) % file_systems.size()];
}

// For as long as it lives the thread runs on one processor, of those that it may use the n-th: threads that move between
// processors take their names' and objects' places from one to the other. Afterwards it may use all again, for who runs the
// next benchmark makes threads, which inherit that.
class Pinned {
 public:
  explicit Pinned(int n) {
    known_ = ::sched_getaffinity(0, sizeof(before_), &before_) == 0;
    int left = known_ ? n % CPU_COUNT(&before_) : 0;
    for (int processor = 0; known_ && processor < CPU_SETSIZE; ++processor) {
      if (!CPU_ISSET(processor, &before_) || left-- != 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      (void)::sched_setaffinity(0, sizeof(one), &one);  // it works anywhere
      return;
    }
  }
  ~Pinned() {
    if (known_) (void)::sched_setaffinity(0, sizeof(before_), &before_);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_ = {};
  bool known_ = false;
};

inline void fail(benchmark::State& state, int code) {
  if (code != 0) state.SkipWithError(("errno " + std::to_string(code)).c_str());
}

}  // namespace scalefs::bench
