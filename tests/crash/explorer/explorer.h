// Runs scripts of calls, cuts the power at every event of each, and judges what may be left: of the
// writes that no flush covers all, none, every single one dropped, every single one alone, random
// subsets, and the last one torn at 512 bytes and at 4 KiB. Each state is recovered, checked by fsck, recovered once more and
// used. Some recoveries are cut again.
//
// An image is judged once a script for each set of calls that had begun and returned. Images are
// counted distinct by the content of all blocks that the script writes.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "diskfs/crash_image.h"
#include "tests/crash/explorer/crash_script.h"

namespace scalefs::testing {

struct ExplorerOptions {
  uint64_t seed = 0;
  uint64_t subsets = 3;          // random ones at each cut
  uint32_t again_percent = 1;      // of the states: their recovery is cut as well
  CrashCanary canary = CrashCanary::none;
  bool accept_all = false;  // canary: the oracle likes everything
};

class Explorer {
 public:
  explicit Explorer(const ExplorerOptions& options) : options_(options) {}

  // The first state that is not allowed, described; empty when there is none.
  std::string explore(const std::string& script);
  // Offers the judge states that are not allowed: everything of the script lost, and a byte changed in
  // /f behind its last sync. Empty when it finds both, as explore() finds nothing.
  std::string explore_forbidden(const std::string& script);
  // Each write of the script alone lost, though a flush covers it, and the power cut when the script's last call
  // has returned: in how many states that is seen.
  struct Lost {
    uint64_t writes = 0, found = 0;
  };
  Lost lose_each_write(const std::string& script);

  uint64_t judged() const { return judged_; }
  uint64_t distinct() const { return distinct_.size(); }

 private:
  struct Run;
  std::string record(const std::string& script, Run* run);
  std::string try_state(Run& run, const diskfs::CrashImages& images,
                        const diskfs::CrashImages::KeepSector& keep, const std::string& choice);
  std::string cut_recovery(Run& run, const diskfs::MemoryDevice& image, uint64_t cut);
  std::string judged_as(diskfs::MemoryDevice& image, const Run& run, uint64_t cut, bool thorough);
  uint64_t content_of(const Run& run, diskfs::MemoryDevice& image) const;

  ExplorerOptions options_;
  std::unordered_set<uint64_t> distinct_;
  uint64_t judged_ = 0;
};

// All calls of one kind each with what may follow it, over the tree of CrashScript::prepare().
std::vector<std::string> crash_scripts_of_one();
// Renames of directories that a half recovered order would turn into loops or lost trees, with fsync of
// every subset of the directories after each of the two.
std::vector<std::string> crash_scripts_of_directories();

}  // namespace scalefs::testing
