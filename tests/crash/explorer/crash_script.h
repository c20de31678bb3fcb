// A script of calls, as text, on a volume and on the reference file system, watched by the oracle. The
// text is what a failure prints and what repeats it:
//   create P, mkdir P, symlink P, setxattr P, unlink P, rmdir P, link P Q, rename P Q,
//   write P offset length, append P length, truncate P size, fallocate P offset length,
//   punch P offset length, fsync P, fdatasync P, sync; steps of the engine: writeback, commit,
//   checkpoint. Calls are separated by "; ". A call whose path does not exist is left out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "diskfs/recording_device.h"
#include "tests/support/crash_oracle.h"

namespace scalefs::testing {

// Promises broken on purpose; each must be found.
enum class CrashCanary {
  none,
  flush_left_out,        // the device's flushes do nothing
  fsync_without_commit,  // an fsync returns without having done anything
  rename_in_two,         // a rename becomes a link and an unlink, with a commit between
  size_before_data,      // an append makes its size durable before its data
  flushed_write_lost,    // the medium loses a write that a flush covered
};

class CrashScript {
 public:
  CrashScript(volume::Volume& volume, const diskfs::RecordingDevice& recording,
              CrashCanary canary = CrashCanary::none);
  ~CrashScript();

  // The small tree that every script starts from, durable. Not watched.
  std::string prepare();
  // The state now is the first one that the oracle knows.
  void begin();
  // Empty when all answers were the reference's.
  std::string run(const std::string& text);
  const CrashOracle& oracle() const { return oracle_; }

 private:
  struct Place {
    ModelId dir = 0;
    std::string name;
    ModelId id = 0;  // 0: no such name
  };
  std::string call(const std::vector<std::string>& words);
  int names_call(const std::vector<std::string>& words, const Place& at, int* want);
  int rename_call(const Place& from, const Place& to, int* want);
  int data_call(const std::vector<std::string>& words, ModelId file);
  int object_call(const std::string& verb, ModelId id);
  Place place(const std::string& path) const;
  std::string bytes(size_t size);
  MnodeNo mnode(ModelId id) const { return mnodes_.at(id); }
  void adopt(ModelId id, MnodeNo mnode);

  volume::Volume& volume_;
  const diskfs::RecordingDevice& recording_;
  CrashCanary canary_;
  ModelFs model_;
  std::map<ModelId, MnodeNo> mnodes_;
  CrashOracle oracle_;
  uint64_t writes_ = 0;
};

}  // namespace scalefs::testing
