#include "volume/record_visitor.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace scalefs::volume {

namespace {

using diskfs::InodeItem;

constexpr uint32_t kModeBits = 07777;

void set_mode(InodeItem& item, uint32_t mode) {
  item.mode = (item.mode & ~kModeBits) | (mode & kModeBits);
}

void lower_links(ObjectChange* object, uint32_t by) {
  if (object->item.nlink < by) {
    log_warning("object {} loses a link that its count of {} does not have", object->mnode.v,
                object->item.nlink);
  }
  object->item.nlink -= std::min(by, object->item.nlink);
}

InodeItem item_of(const memfs::Attr& attr) {
  InodeItem item;
  item.mnode = attr.mnode;
  item.mode = attr.mode;
  item.flags = attr.flags;
  item.uid = attr.uid;
  item.gid = attr.gid;
  item.nlink = attr.nlink;
  item.generation = attr.generation;
  item.rdev = attr.rdev;
  item.size = attr.size;
  item.atime_ns = attr.atime_ns;
  item.mtime_ns = attr.mtime_ns;
  item.ctime_ns = attr.ctime_ns;
  item.btime_ns = attr.btime_ns;
  return item;
}

}  // namespace

uint8_t type_of_mode(uint32_t mode) { return static_cast<uint8_t>(IFTODT(mode)); }

Status RecordVisitor::play(const memfs::OpRecord& record) {
  mtime_ns_ = record.mtime_ns;
  ctime_ns_ = record.ctime_ns;
  return std::visit([this](const auto& op) { return (*this)(op); }, record.op);
}

void RecordVisitor::touch_times(ObjectChange* dir) {
  if (mtime_ns_ != 0) {
    const bool replace = std::exchange(dir->mtime_ahead, false);
    dir->item.mtime_ns = replace ? mtime_ns_ : std::max(dir->item.mtime_ns, mtime_ns_);
  }
  touch_object(dir);
}

void RecordVisitor::touch_object(ObjectChange* object) {
  if (ctime_ns_ != 0) object->item.ctime_ns = std::max(object->item.ctime_ns, ctime_ns_);
}

Status RecordVisitor::operator()(const memfs::CreateOp& op) {
  ObjectChange* dir = nullptr;
  if (op.parent) {
    SCALEFS_TRY(dir, effect_.object(op.parent));
  }
  SCALEFS_TRY(ObjectChange* const object, effect_.create(op.attr.mnode));
  object->item = item_of(op.attr);
  for (const auto& [name, value] : op.xattrs) object->xattrs[name] = ConstBytes(value);
  if (!op.symlink_target.empty()) {
    object->item.size = op.symlink_target.size();
    object->page_changes().put_bytes(0, std::as_bytes(std::span(op.symlink_target)));
  }
  if (!dir) return {};
  effect_.set_name(dir, op.name, false, object, type_of_mode(op.attr.mode));
  if (S_ISDIR(op.attr.mode)) change_parent(object, nullptr, dir);
  touch_times(dir);
  return {};
}

Status RecordVisitor::operator()(const memfs::LinkOp& op) {
  SCALEFS_TRY(ObjectChange* const dir, effect_.object(op.parent));
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  ++target->item.nlink;
  effect_.set_name(dir, op.name, false, target, op.type);
  touch_times(dir);
  touch_object(target);
  return {};
}

void RecordVisitor::lose_name(ObjectChange* dir, ObjectChange* object, uint8_t type) {
  if (type == DT_DIR) {
    lower_links(object, 2);
    change_parent(object, dir, nullptr);
  } else {
    lower_links(object, 1);
  }
  touch_object(object);
}

void RecordVisitor::change_parent(ObjectChange* object, ObjectChange* from, ObjectChange* to) {
  if (from == to) return;
  if (from) lower_links(from, 1);
  if (to) ++to->item.nlink;
  object->parent = to;
  object->item.parent_mnode = to ? to->mnode : MnodeNo{};
  object->item.parent_ino = Ino{};  // the translator knows it when all have numbers
}

Status RecordVisitor::operator()(const memfs::UnlinkOp& op) {
  SCALEFS_TRY(ObjectChange* const dir, effect_.object(op.parent));
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  effect_.set_name(dir, op.name, true, nullptr, 0);
  lose_name(dir, target, op.type);
  touch_times(dir);
  return {};
}

Status RecordVisitor::exchange(const memfs::RenameOp& op, ObjectChange* source,
                               ObjectChange* target, ObjectChange* moved) {
  SCALEFS_TRY(ObjectChange* const other, effect_.object(op.replaced));
  effect_.set_name(target, op.target_name, true, moved, op.moved_type);
  effect_.set_name(source, op.source_name, true, other, op.replaced_type);
  if (op.moved_type == DT_DIR) change_parent(moved, source, target);
  if (op.replaced_type == DT_DIR) change_parent(other, target, source);
  touch_object(other);
  return {};
}

Status RecordVisitor::operator()(const memfs::RenameOp& op) {
  SCALEFS_TRY(ObjectChange* const source, effect_.object(op.source_parent));
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target_parent));
  SCALEFS_TRY(ObjectChange* const moved, effect_.object(op.moved));
  touch_times(source);
  touch_times(target);
  touch_object(moved);
  if (op.exchange) return exchange(op, source, target, moved);

  if (op.replaced) {
    SCALEFS_TRY(ObjectChange* const replaced, effect_.object(op.replaced));
    lose_name(target, replaced, op.replaced_type);
  }
  effect_.set_name(target, op.target_name, static_cast<bool>(op.replaced), moved, op.moved_type);
  if (op.moved_type == DT_DIR) change_parent(moved, source, target);
  if (!op.whiteout) {
    effect_.set_name(source, op.source_name, true, nullptr, 0);
    return {};
  }
  SCALEFS_TRY(ObjectChange* const whiteout, effect_.create(op.whiteout->mnode));
  whiteout->item = item_of(*op.whiteout);
  for (const auto& [name, value] : op.whiteout_xattrs) whiteout->xattrs[name] = ConstBytes(value);
  effect_.set_name(source, op.source_name, true, whiteout, type_of_mode(op.whiteout->mode));
  return {};
}

Status RecordVisitor::operator()(const memfs::SetAttrOp& op) {
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  InodeItem& item = target->item;
  if (op.mode) set_mode(item, *op.mode);
  if (op.uid) item.uid = *op.uid;
  if (op.gid) item.gid = *op.gid;
  if (op.flags) item.flags = *op.flags;
  if (op.atime_ns) item.atime_ns = *op.atime_ns;
  touch_object(target);
  if (op.mtime_ns) {
    item.mtime_ns = *op.mtime_ns;
    target->own_mtime_ns = INT64_MIN;
    target->mtime_ahead = item.mtime_ns > ctime_ns_;  // as in MemFS, whose base lacks other cores' ctimes
  }
  return {};
}

Result<ObjectChange*> RecordVisitor::data_target(MnodeNo target, uint64_t covered_size) {
  SCALEFS_TRY(ObjectChange* const object, effect_.object(target));
  if (covered_size == memfs::kSizeUnchanged) {
    touch_times(object);
    object->own_mtime_ns = std::max(object->own_mtime_ns, mtime_ns_);
    return object;
  }
  object->item.size = covered_size;
  if (mtime_ns_ != 0) object->item.mtime_ns = std::max(mtime_ns_, object->own_mtime_ns);
  touch_object(object);
  return object;
}

Status RecordVisitor::operator()(const memfs::TruncateOp& op) {
  SCALEFS_TRY(ObjectChange* const target, data_target(op.target, op.covered_size));
  target->page_changes().punch((op.size + kBlockBytes - 1) / kBlockBytes, UINT64_MAX);
  return {};
}

Status RecordVisitor::operator()(const memfs::PunchOp& op) {
  SCALEFS_TRY(ObjectChange* const target, data_target(op.target, op.covered_size));
  target->page_changes().punch(op.from_page, op.to_page);
  return {};
}

Status RecordVisitor::operator()(const memfs::AllocateOp& op) {
  SCALEFS_TRY(ObjectChange* const target, data_target(op.target, op.covered_size));
  target->page_changes().fill(op.page, op.count);
  return {};
}

Status RecordVisitor::operator()(const memfs::ExtentsOp& op) {
  SCALEFS_TRY(ObjectChange* const target, data_target(op.target, op.covered_size));
  for (const memfs::ExtentsOp::Run& run : op.runs) {
    target->page_changes().put_extent(run.page, run.block, run.crcs);
  }
  return {};
}

Status RecordVisitor::operator()(const memfs::InlineOp& op) {
  SCALEFS_TRY(ObjectChange* const target, data_target(op.target, op.covered_size));
  for (const memfs::InlineOp::Page& page : op.pages) {
    target->page_changes().put_bytes(page.page, page.bytes);
  }
  return {};
}

Status RecordVisitor::operator()(const memfs::SetXattrOp& op) {
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  target->xattrs[op.name] = ConstBytes(op.value);
  if (op.mode) set_mode(target->item, *op.mode);
  touch_object(target);
  return {};
}

Status RecordVisitor::operator()(const memfs::RemoveXattrOp& op) {
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  target->xattrs[op.name] = std::nullopt;
  touch_object(target);
  return {};
}

Status RecordVisitor::operator()(const memfs::ReclaimOp& op) {
  SCALEFS_TRY(ObjectChange* const target, effect_.object(op.target));
  if (target->item.nlink != 0) return Errno(EUCLEAN);
  target->dead = true;
  if (target->pages) target->pages->drop_all();
  return {};
}

}  // namespace scalefs::volume
