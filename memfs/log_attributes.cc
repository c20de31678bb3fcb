// The list of objects with something that no record carries, and the record for what no page brings.
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

bool is_dirty(MemFs::Impl& impl, Mnode& mnode) {
  if (impl.deltas.has_times(mnode)) return true;
  return mnode.is_file() && mnode.file.peek() != nullptr && FileAccess(impl, mnode).has_unlogged();
}

}  // namespace

void MemFs::Impl::mark_times_dirty(Mnode& mnode) {
  if (!logging()) return;
  deltas.note(mnode, DeltaCache::kTimes);
}

std::vector<MnodeNo> MemFs::dirty_files(size_t count) {
  std::vector<MnodeNo> found;
  if (count == 0) return found;
  impl_->deltas.collect_notes();
  using Verdict = LinkQueue::Verdict;
  impl_->data->dirty.visit(
      [&](Mnode& mnode) {
        if (found.size() == count) return Verdict::stop;
        if (!is_dirty(*impl_, mnode)) return Verdict::drop;
        found.push_back(mnode.number);
        return Verdict::rotate;
      },
      [&](Mnode& mnode) { return is_dirty(*impl_, mnode); });
  return found;
}

// Two records with one stamp at the most: access time, and for a file its size and times.
void MemFs::log_attributes(MnodeNo number) {
  Impl& impl = *impl_;
  if (!impl.logging()) return;
  Room room(impl);
  room.adopt(Need{.log_bytes = attributes_log_bytes()});
  auto pinned = Pin::of(impl, number);
  if (!pinned.ok()) return;
  Mnode& mnode = **pinned;
  SetAttrOp atime;
  atime.target = number;
  auto times = impl.make_record(std::move(atime), kRecordLogBytes);
  if (mnode.is_file() && mnode.file.peek() != nullptr) {
    auto size = impl.make_record(ExtentsOp{number, {}, 0}, kRecordLogBytes);
    SleepLock change(mnode.change_lock);
    FileAccess(impl, mnode).log_open_attributes(std::move(times), std::move(size), room);
    return;
  }
  SleepLock change(mnode.change_lock);
  if (!impl.deltas.take_times(mnode)) return;
  LogSlot slot(impl);
  mnode.change_stamp = slot.stamp(std::max(mnode.stamp.load(acquire), mnode.change_stamp));
  std::get<SetAttrOp>(times->op).atime_ns = impl.deltas.read_data(mnode).atime_ns;
  slot.append(std::move(times));
  room.appended(kRecordLogBytes);
}

void FileAccess::log_open_attributes(std::unique_ptr<OpRecord> times,
                                     std::unique_ptr<OpRecord> size, Room& room) {
  RangeHold hold(node_, PageTree::kHeadPages, kEndPage);
  node_.mutex_.assert_held();
  const uint64_t covered = covered_size(node_.size());
  const bool times_open = impl_.deltas.take_times(mnode_);  // nothing throws behind this
  if (!times_open && covered == node_.logged_size_.load(relaxed)) return;
  FileNode::Settling settling(node_);
  std::get<ExtentsOp>(size->op).covered_size = covered;
  node_.logged_size_.store(covered, release);
  if (times_open) std::get<SetAttrOp>(times->op).atime_ns = impl_.deltas.read_data(mnode_).atime_ns;
  std::unique_ptr<OpRecord> records[] = {std::move(size), std::move(times)};
  const auto used = std::span(records).first(times_open ? 2 : 1);
  node_.overlay_.settle(log_all(used, hold, room, 0, [] {}));
}

}  // namespace scalefs::memfs
