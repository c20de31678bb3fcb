// A script of calls, as text, on a volume and on the reference file system, watched by the oracle. The
// text is what a failure prints and what repeats it:
//   create P, mkdir P, symlink P, setxattr P, unlink P, rmdir P, link P Q, rename P Q,
//   write P offset length, append P length, truncate P size, fallocate P offset length,
//   punch P offset length, fsync P, fdatasync P, sync; read P, list P, compared with the reference; steps of the engine: writeback, commit,
//   checkpoint, maintain; core N: the calls that follow are made on that core. Calls are separated by "; ". A call whose path does not exist is left out.
#pragma once

#include <map>
#include <set>
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
};

class CrashScript {
 public:
  CrashScript(volume::Volume& volume, const diskfs::RecordingDevice& recording,
              CrashCanary canary = CrashCanary::none);
  ~CrashScript();

  // From now on calls may answer one of these instead, if they then have done nothing; an fsync that does
  // promises nothing.
  void tolerate(std::set<int> errors) { tolerated_ = std::move(errors); }
  // Says what is compared; before begin().
  void look_only_at(CrashOracle::View view) { view_ = std::move(view); }
  // Calls that did.
  uint64_t refused() const { return refused_; }
  // The volume was mounted again: paths are looked up in it, each when it is first used.
  void remounted(volume::Volume& volume);
  // Compares the volume with what the calls so far have made of it: exactly that. Empty when it is.
  std::string compare() const;

  // The small tree that every script starts from, durable. Not watched.
  std::string prepare();
  // A directory that others have made, and that several use.
  std::string share(const std::string& dir);
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
  int read_call(ModelId id);
  int list_call(const std::string& path, ModelId id);
  bool needs_room(const std::vector<std::string>& words, ModelId id) const;
  Place place(const std::string& path);
  int look_up(ModelId dir, const std::string& name, ModelId id);
  std::string bytes(size_t size);
  MnodeNo mnode(ModelId id) const { return mnodes_.at(id); }
  void adopt(ModelId id, MnodeNo mnode);

  volume::Volume* volume_;
  const diskfs::RecordingDevice& recording_;
  CrashCanary canary_;
  ModelFs model_;
  std::map<ModelId, MnodeNo> mnodes_;
  std::set<ModelId> unknown_;  // not looked up since the last mount
  int lookup_error_ = 0;       // of the path that is being resolved
  std::set<int> tolerated_;
  uint64_t refused_ = 0;
  CrashOracle::View view_;
  CrashOracle oracle_;
  uint64_t writes_ = 0;
};

}  // namespace scalefs::testing
