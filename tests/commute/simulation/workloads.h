// The calls whose cost in remote misses is simulated: FxMark's workloads (Min et al., "Understanding
// Manycore Scalability of File Systems", ATC'16, table 1) under their names, and two loops of calls after
// dbench and a mail spool. The last letter is the sharing level: L objects of the core's own, M parts
// of a shared object, H one and the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "volume/volume.h"

namespace scalefs::simulation {

// What the cores share.
struct Shared {
  volume::Volume* volume = nullptr;
  int cores = 0;
  int calls = 0;     // a core, warm-up and counted
  MnodeNo dir;       // a directory with many buckets
  MnodeNo file;      // kPagesACore pages of each core
  memfs::MemFs& fs() const { return volume->fs(); }
};

inline constexpr uint64_t kPagesACore = 16;

// One core's side of a workload. Everything runs on the core's thread.
class Work {
 public:
  Work(const Shared& shared, int core) : shared_(shared), core_(core) {}
  virtual ~Work() = default;
  // Makes what the calls need. Not recorded.
  virtual void prepare() = 0;
  // Gets the i-th call ready (names and buffers). Not recorded.
  virtual void ready(int i) = 0;
  // The call or calls. Recorded.
  virtual void call() = 0;
  // Not recorded.
  virtual void done() {}

 protected:
  memfs::MemFs& fs() const { return shared_.fs(); }
  const Shared& shared_;
  const int core_;
};

// Makes and removes so many names, so that the directory has buckets for them.
void grow_directory(memfs::MemFs& fs, MnodeNo dir, int names);

struct Workload {
  std::string name;
  std::unique_ptr<Work> (*make)(const Shared&, int core);
  int counted;     // calls a core
  bool fills_dir;  // makes names in the shared directory
};

const std::vector<Workload>& workloads();

}  // namespace scalefs::simulation
