// One cut made durable (P5): cut the logs, choose split points, and for each group of records translate,
// commit, publish. Also the bookkeeping between batches and stamps.
//
//   oplog cut -> split -> { translate -> DiskFs::commit -> publish } ... -> covered stamps
//
// Publishing after a batch is durable: the committed view and the inode map take its inodes, blocks
// that it never named are retired (P3), mnode marks are durable, its records count no longer and are
// freed, those of a cut's last batch by clean_up(). Credits of pages that records carry are spent: the bound of the next checkpoint counts their
// blocks from now on. Behind the answers, too, the memory of the next batch is made ready, for one as long as the last.
// A failure anywhere makes the volume failed: records of the cut are lost for the disk, memory keeps
// what they did.
//
// covered_stamp(seq): all records up to it are in batches 1..seq, or left nothing to write.
//
// One caller of commit_cut at a time (the committer). The rest from any thread; one leaf mutex around the
// stamps, one around what is in flight, what is to be freed and what is prepared.
#pragma once

#include <deque>

#include "base/atomic.h"
#include "diskfs/diskfs.h"
#include "oplog/op_log.h"
#include "volume/block_credits.h"
#include "volume/committed_view.h"
#include "volume/committer.h"
#include "volume/health.h"
#include "volume/mnode_marks.h"
#include "volume/read_pins.h"

namespace scalefs::volume {

class CommitPipeline final : public CommitWork {
 public:
  struct Parts {
    oplog::OpLog& log;
    diskfs::DiskFs& disk;
    InodeMap& map;
    CommittedView& view;
    MnodeMarks& marks;
    ReadPins& pins;
    Health& health;
    BlockCredits& credits;
  };
  explicit CommitPipeline(const Parts& parts);

  Status commit_cut() override;
  void clean_up() override;
  bool nothing_logged() override { return log_.depth() == 0; }

  // Largest stamp that the batches up to `seq` cover; forgets what is below.
  oplog::Stamp covered_stamp(uint64_t seq);

  // What is logged and not durable yet: in the logs, or taken by a cut (which still counts against
  // their limits).
  struct Logged {
    uint64_t records = 0, bytes = 0, places = 0;
  };
  Logged logged();

  // Of a committed cut, until clean_up().
  size_t records_to_free();

  struct Counts {
    uint64_t operations = 0, absorbed = 0, commits = 0;
  };
  Counts counts() const;

 private:
  Status commit_group(RecordList records, oplog::Stamp covered,
                      const MnodeMarks::Marks& marks);
  Status commit_marks(const MnodeMarks::Marks& marks);
  void remember(uint64_t seq, oplog::Stamp stamp);
  void count_out(RecordList records);
  void prepare_next();
  diskfs::Batch take_prepared();

  oplog::OpLog& log_;
  diskfs::DiskFs& disk_;
  InodeMap& map_;
  CommittedView& view_;
  MnodeMarks& marks_;
  ReadPins& pins_;
  Health& health_;
  BlockCredits& credits_;
  Translator translator_;
  // Around a cut and what it took, so that nobody sees records in neither.
  Mutex flight_mutex_;
  Logged in_flight_ GUARDED_BY(flight_mutex_);
  std::vector<std::unique_ptr<oplog::LogEntry>> committed_ GUARDED_BY(flight_mutex_);  // for clean_up
  diskfs::Batch prepared_ GUARDED_BY(flight_mutex_);
  Atomic<size_t> prepared_bytes_{0};  // how long the last batch was; a hint, hence relaxed
  RelaxedCounter operations_, absorbed_, commits_;
  Mutex mutex_;
  std::deque<std::pair<uint64_t, oplog::Stamp>> covered_ GUARDED_BY(mutex_);  // (seq, stamp) ascend
  oplog::Stamp covered_before_ GUARDED_BY(mutex_) = 0;
};

}  // namespace scalefs::volume
