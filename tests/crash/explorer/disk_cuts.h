// A random history of commits, checkpoints and mounts of DiskFs alone on a tiny volume, whose journal it goes
// round several times; cut after every event, with torn writes and random subsets of what no flush covers.
// What recovery finds must be the state of one batch, at or behind the last commit that had returned; some
// recoveries are cut again, and some volumes go on with new batches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace scalefs::diskfs {

class DiskCuts {
 public:
  explicit DiskCuts(uint64_t seed);
  ~DiskCuts();

  // `lose_flushes` breaks the device. False, and a failure of the running test, when the history went wrong.
  bool record(int steps, bool lose_flushes = false);
  // The first fault, with what repeats it; empty when there is none.
  std::string check(int images_a_cut);
  uint64_t states() const { return states_; }

  struct Recorded;

 private:
  const uint64_t seed_;
  uint64_t states_ = 0;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace scalefs::diskfs
