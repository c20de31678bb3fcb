#include "volume/commit_pipeline.h"

#include <dirent.h>

#include <new>
#include <utility>

#include "base/canary.h"
#include "base/log.h"

namespace scalefs::volume {

namespace {

// Of one set_mnode_mark operation, at the most.
constexpr size_t kMarkBytes = 12;

// A larger batch asks for more itself.
constexpr size_t kPreparedBytesMax = 1 << 20;

// Canary::rename_in_two: each rename of a file to a new name as a link and an unlink.
void part_renames(std::vector<std::unique_ptr<oplog::LogEntry>>* entries) {
  for (size_t i = 0; i < entries->size(); ++i) {
    auto& unlink = static_cast<memfs::OpRecord&>(*(*entries)[i]);
    const auto* found = std::get_if<memfs::RenameOp>(&unlink.op);
    if (found == nullptr || found->moved_type == DT_DIR || found->replaced || found->whiteout) continue;
    const memfs::RenameOp op = *found;
    auto link = std::make_unique<memfs::OpRecord>();
    link->stamp = unlink.stamp;
    link->slot = unlink.slot + 1;  // another call's, for split_points
    link->mtime_ns = unlink.mtime_ns;
    link->ctime_ns = unlink.ctime_ns;
    link->op = memfs::LinkOp{op.target_parent, op.target_name, op.moved, op.moved_type};
    unlink.op = memfs::UnlinkOp{op.source_parent, op.source_name, op.moved, op.moved_type};
    entries->insert(entries->begin() + static_cast<ptrdiff_t>(i++), std::move(link));
  }
}

}  // namespace

CommitPipeline::CommitPipeline(const Parts& parts)
    : log_(parts.log),
      disk_(parts.disk),
      map_(parts.map),
      view_(parts.view),
      marks_(parts.marks),
      pins_(parts.pins),
      health_(parts.health),
      credits_(parts.credits),
      translator_(parts.disk.info().hash_key, parts.view) {}

CommitPipeline::Logged CommitPipeline::logged() {
  MutexLock lock(flight_mutex_);
  Logged sum = in_flight_;
  sum.records += log_.depth();
  sum.bytes += log_.cost_bytes();
  sum.places += log_.cost_places();
  return sum;
}

void CommitPipeline::count_out(RecordList records) {
  Logged done;
  uint64_t pages = 0;
  for (const auto& record : records) {
    ++done.records;
    done.bytes += record->cost_bytes;
    done.places += record->cost_places;
    const auto& op = static_cast<const memfs::OpRecord&>(*record).op;
    if (const auto* carried = std::get_if<memfs::InlineOp>(&op)) pages += carried->pages.size();
    if (const auto* made = std::get_if<memfs::CreateOp>(&op)) {
      pages += made->symlink_target.empty() ? 0 : 1;
    }
  }
  if (pages != 0) credits_.spend(pages);
  MutexLock lock(flight_mutex_);
  in_flight_.records -= done.records;
  in_flight_.bytes -= done.bytes;
  in_flight_.places -= done.places;
}

Status CommitPipeline::commit_cut() {
  if (health_.failed() || health_.stopped()) return Errno(EIO);
  map_.begin_cut();
  oplog::OpLog::Cut cut;
  {
    MutexLock lock(flight_mutex_);
    cut = log_.cut();
    if (canary(Canary::rename_in_two)) part_renames(&cut.entries);
    for (const auto& record : cut.entries) {
      ++in_flight_.records;
      in_flight_.bytes += record->cost_bytes;
      in_flight_.places += record->cost_places;
    }
  }
  // What the translation finds used joins the next cut.
  const MnodeMarks::Marks marks = marks_.pending();
  const size_t marks_bytes = marks.size() * kMarkBytes;
  const size_t bytes_max = canary(Canary::rename_in_two) ? 1 : disk_.batch_bytes_max() - marks_bytes;
  const auto ends = Translator::split_points(cut.entries, bytes_max);
  if (ends.empty()) SCALEFS_TRY_VOID(commit_marks(marks));
  size_t start = 0;
  for (const size_t end : ends) {
    const RecordList group = RecordList(cut.entries).subspan(start, end - start);
    // Records of one stamp may stand on both sides of a split: what is covered ends below them.
    const oplog::Stamp covered =
        end == cut.entries.size() ? cut.upto : cut.entries[end]->stamp - 1;
    const Status status = commit_group(group, covered, start == 0 ? marks : MnodeMarks::Marks{});
    if (!status.ok()) {
      health_.fail("a commit", status.error());
      return status;
    }
    count_out(group);
    // Those of the last batch wait for clean_up().
    for (size_t i = start; i < end && end != cut.entries.size(); ++i) cut.entries[i].reset();
    start = end;
  }
  if (ends.empty()) remember(disk_.committed_seq(), cut.upto);
  map_.end_cut();
  MutexLock lock(flight_mutex_);
  committed_.swap(cut.entries);
  return {};
}

void CommitPipeline::clean_up() {
  std::vector<std::unique_ptr<oplog::LogEntry>> committed;
  {
    MutexLock lock(flight_mutex_);
    committed.swap(committed_);
  }
  prepare_next();
}

size_t CommitPipeline::records_to_free() {
  MutexLock lock(flight_mutex_);
  return committed_.size();
}

void CommitPipeline::prepare_next() {
  const size_t bytes = prepared_bytes_.load(relaxed);
  if (bytes > kPreparedBytesMax) return;
  {
    MutexLock lock(flight_mutex_);
    if (prepared_.memory_bytes() >= bytes) return;
  }
  diskfs::Batch batch;
  try {
    batch.prepare(bytes + bytes / 8);
  } catch (const std::bad_alloc&) {
    return;  // the next commit tells if it lacks memory
  }
  MutexLock lock(flight_mutex_);
  std::swap(prepared_, batch);
}

diskfs::Batch CommitPipeline::take_prepared() {
  MutexLock lock(flight_mutex_);
  return std::exchange(prepared_, {});
}

Status CommitPipeline::commit_group(RecordList records, oplog::Stamp covered,
                                    const MnodeMarks::Marks& marks) {
  auto translated = translator_.translate(records, take_prepared());
  if (!translated.ok()) return translated.error();
  Translation& translation = *translated;
  for (const auto& inode : translation.inodes) {
    if (inode.fate == Translation::Fate::born) marks_.used(inode.item.mnode);
  }
  for (const auto& [slot, counter] : marks) translation.batch.set_mnode_mark(slot, counter);

  uint64_t seq = disk_.committed_seq();
  if (translation.batch.size_bytes() > disk_.batch_bytes_max()) return Errno(EFBIG);
  if (!translation.batch.empty()) {
    prepared_bytes_.store(translation.batch.size_bytes(), relaxed);
    SCALEFS_TRY(seq, disk_.commit(std::move(translation.batch)));
    commits_.add(1);
  }
  view_.publish(translation.inodes, seq);
  pins_.retire(translation.never_named);
  marks_.committed(marks);
  remember(seq, covered);
  operations_.add(records.size());
  absorbed_.add(translation.absorbed_objects);
  return {};
}

Status CommitPipeline::commit_marks(const MnodeMarks::Marks& marks) {
  if (marks.empty()) return {};
  diskfs::Batch batch;
  for (const auto& [slot, counter] : marks) batch.set_mnode_mark(slot, counter);
  const auto seq = disk_.commit(std::move(batch));
  if (!seq.ok()) {
    health_.fail("a commit", seq.error());
    return seq.error();
  }
  commits_.add(1);
  marks_.committed(marks);
  return {};
}

void CommitPipeline::remember(uint64_t seq, oplog::Stamp stamp) {
  MutexLock lock(mutex_);
  if (!covered_.empty() && covered_.back().first == seq) {
    covered_.back().second = stamp;
  } else {
    covered_.emplace_back(seq, stamp);
  }
}

oplog::Stamp CommitPipeline::covered_stamp(uint64_t seq) {
  MutexLock lock(mutex_);
  while (!covered_.empty() && covered_.front().first <= seq) {
    covered_before_ = covered_.front().second;
    covered_.pop_front();
  }
  return covered_before_;
}

CommitPipeline::Counts CommitPipeline::counts() const {
  return {operations_.get(), absorbed_.get(), commits_.get()};
}

}  // namespace scalefs::volume
