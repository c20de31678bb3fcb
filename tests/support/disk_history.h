// Random batches against a mounted DiskFs, a reference model of every state that a commit made, and
// the comparison of the two.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "diskfs/diskfs.h"
#include "tests/unit/diskfs/apply_model.h"

namespace scalefs::diskfs {

// A small volume with one inode, the root; the same bytes every time.
void format_tiny(BlockDevice& device, uint64_t journal_blocks);

// Null, and a failure of the running test, when it does not mount.
std::unique_ptr<DiskFs> mount_or_fail(BlockDevice& device, bool read_only = false);

// What new pins read against `expected`: attributes, names, pages with their content, extended
// attributes, orphans, recycled numbers, marks. The first difference; empty when there is none.
std::string compare_state(DiskFs& fs, const ApplyModel& expected);
// The same for a pin that was taken earlier.
std::string compare_state(DiskFs& fs, const CheckpointPin& pin, const ApplyModel& expected);

// Superblock, tree and maps of an image must agree with each other: every node valid, every block
// owned once and marked, no other block marked, the counts right. The first fault; empty when none.
// The journal is not looked at.
std::string check_volume(BlockDevice& device);

class DiskHistory {
 public:
  explicit DiskHistory(uint64_t seed) : random(seed) {}

  // Takes a fresh volume as the first state.
  void adopt(DiskFs& fs);
  // Fills a batch with random operations, one at the least, on the newest state; data blocks are
  // written. Answers the first error of writing data (then the batch must not be committed).
  Status fill(DiskFs& fs, size_t operations, Batch* batch);
  // Remembers the state that the batch makes, and commits it.
  Result<uint64_t> commit(DiskFs& fs, const Batch& batch);
  // fill and commit.
  Result<uint64_t> step(DiskFs& fs, size_t operations);
  // Goes on from the state of `sequence`, as after a crash; later ones are forgotten.
  void go_back(uint64_t sequence);

  const ApplyModel& state(uint64_t sequence) const { return states_.at(sequence); }
  const ApplyModel& newest() const { return states_.rbegin()->second; }
  // Forgets the states before `sequence`.
  void forget_before(uint64_t sequence);

  Random random;
  // With fewer free blocks only operations that need none are chosen.
  uint64_t free_blocks_min = 160;

 private:
  struct Building;
  Status create(Building& to);
  Status write(Building& to, Ino ino);
  void change(Building& to, Ino ino);
  void remove(Building& to, Ino ino);
  std::vector<std::byte> content(size_t max);

  std::map<uint64_t, ApplyModel> states_;  // by sequence
  ApplyModel filled_;                      // the newest state and the batch filled last
  uint64_t next_mnode_ = 2;
};

}  // namespace scalefs::diskfs
