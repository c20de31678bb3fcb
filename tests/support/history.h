// A random history: the same calls on a Volume and on the reference file system, each answer
// compared at once, the whole tree on demand. Everything follows from the seed. A difference is a
// GoogleTest failure that names the step, the call and both answers; failed() is then true and the
// history must not be continued.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/model_fs.h"
#include "volume/volume.h"

namespace scalefs::testing {

struct HistoryOptions {
  uint64_t seed = 1;
  uint64_t file_bytes_max = 200'000;
  size_t objects_max = 120;   // beyond it more is removed than made
  bool data_calls = true;
  // Called after each fsync (of that object) and sync (0) that returned.
  std::function<void(ModelId)> on_durable;
  // Called after each rename that replaced a name, with the object that has it now.
  std::function<void(ModelId)> on_rename_over;
};

class History {
 public:
  History(const HistoryOptions& options, volume::Volume& volume);
  ~History();

  // One random call. False when a difference was found.
  bool step();
  // Compares every name, attribute, xattr and byte that can be reached from the root.
  bool compare_all();
  // The volume was unmounted and mounted again: lookups are gone.
  void remounted(volume::Volume& volume);
  // Calls that make durable, as part of the history.
  bool sync();
  bool fsync(ModelId id);

  bool failed() const { return failed_; }
  uint64_t steps() const { return steps_; }
  const ModelFs& model() const { return model_; }
  MnodeNo mnode_of(ModelId id) const { return mnodes_.at(id); }
  // Null when the history has not met the object through a call yet (a whiteout).
  const MnodeNo* known(ModelId id) const {
    auto found = mnodes_.find(id);
    return found == mnodes_.end() ? nullptr : &found->second;
  }

 private:
  using Call = bool (History::*)();
  bool do_make();
  bool do_tmpfile();
  bool do_link();
  bool do_unlink();
  bool do_rmdir();
  bool do_rename();
  bool do_lookup();
  bool do_setattr();
  bool do_getattr();
  bool do_xattr();
  bool do_write();
  bool do_append();
  bool do_read();
  bool do_truncate();
  bool do_allocate();
  bool do_seek();
  bool do_copy();
  bool do_readdir();
  bool do_release();
  bool do_fsync();

  bool expect(int got, int want, const std::string& call);
  bool check_attr(ModelId id, const memfs::Attr& attr, const std::string& call);
  bool fail(const std::string& what);
  bool ensure(ModelId id);  // the object has a lookup
  void adopt(ModelId id, const memfs::Attr& attr);
  void release(ModelId id);
  bool compare_object(ModelId id);
  bool compare_directory(ModelId id);
  ModelId pick(const std::function<bool(const ModelNode&)>& wanted);
  ModelId pick_dir();
  ModelId pick_file();
  std::string pick_name();
  std::string pick_existing(ModelId dir);
  std::string random_bytes(size_t size);
  void tick();

  HistoryOptions options_;
  volume::Volume* volume_;
  ModelFs model_;
  Random random_;
  std::map<ModelId, MnodeNo> mnodes_;
  std::vector<std::pair<Call, int>> calls_;
  int weight_total_ = 0;
  uint64_t steps_ = 0;
  bool failed_ = false;
  std::string trace_;  // the last calls
};

}  // namespace scalefs::testing
