// Plays the records of one batch, in stamp order, on their net effect. The rules of counts and times
// are in translator.h. Not thread-safe.
#pragma once

#include "memfs/record.h"
#include "volume/net_effect.h"

namespace scalefs::volume {

class RecordVisitor {
 public:
  explicit RecordVisitor(NetEffect& effect) : effect_(effect) {}

  // EUCLEAN: the record contradicts what was committed before it.
  Status play(const memfs::OpRecord& record);

  Status operator()(const memfs::CreateOp& op);
  Status operator()(const memfs::LinkOp& op);
  Status operator()(const memfs::UnlinkOp& op);
  Status operator()(const memfs::RenameOp& op);
  Status operator()(const memfs::SetAttrOp& op);
  Status operator()(const memfs::TruncateOp& op);
  Status operator()(const memfs::PunchOp& op);
  Status operator()(const memfs::AllocateOp& op);
  Status operator()(const memfs::ExtentsOp& op);
  Status operator()(const memfs::InlineOp& op);
  Status operator()(const memfs::SetXattrOp& op);
  Status operator()(const memfs::RemoveXattrOp& op);
  Status operator()(const memfs::ReclaimOp& op);

 private:
  Status exchange(const memfs::RenameOp& op, ObjectChange* source, ObjectChange* target,
                  ObjectChange* moved);
  // The object loses a name in `dir`.
  void lose_name(ObjectChange* dir, ObjectChange* object, uint8_t type);
  // A directory's ".." goes from one parent to another.
  void change_parent(ObjectChange* object, ObjectChange* from, ObjectChange* to);
  void touch_times(ObjectChange* dir);
  void touch_object(ObjectChange* object);
  // A file's data changed: its durable size and times.
  Result<ObjectChange*> data_target(MnodeNo target, uint64_t covered_size);

  NetEffect& effect_;
  int64_t mtime_ns_ = 0;
  int64_t ctime_ns_ = 0;
};

// DT_* of a mode, and whether it is a directory's.
uint8_t type_of_mode(uint32_t mode);

}  // namespace scalefs::volume
