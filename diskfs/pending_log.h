// The batches that are committed but not yet in a durable checkpoint, in memory, in order.
//
// Not thread-safe: DiskFs guards it. Batches themselves are immutable and shared, so that a
// checkpoint works on a snapshot while commits go on.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "diskfs/batch_bytes.h"
#include "diskfs/checkpoint_bound.h"
#include "diskfs/journal_format.h"

namespace scalefs::diskfs {

// Counted in MemoryClass::journal_buffer.
class CommittedBatch {
 public:
  // `bytes` decode.
  CommittedBatch(BatchBytes bytes, const JournalPoint& end);
  ~CommittedBatch();
  CommittedBatch(const CommittedBatch&) = delete;
  CommittedBatch& operator=(const CommittedBatch&) = delete;

  ConstBytes payload() const { return bytes_.payload(); }
  // What applying it may cost.
  const PendingWork& work() const { return work_; }
  uint64_t sequence() const { return end_.sequence - 1; }
  // Where the batch after this one begins.
  const JournalPoint& end() const { return end_; }

 private:
  const BatchBytes bytes_;
  PendingWork work_;
  const JournalPoint end_;
};

using CommittedBatches = std::vector<std::shared_ptr<const CommittedBatch>>;

class PendingLog {
 public:
  void push(std::shared_ptr<const CommittedBatch> batch);
  CommittedBatches snapshot() const { return {batches_.begin(), batches_.end()}; }
  void drop_through(uint64_t sequence);

  bool empty() const { return batches_.empty(); }
  // Of all batches together.
  const PendingWork& work() const { return work_; }

 private:
  std::deque<std::shared_ptr<const CommittedBatch>> batches_;
  PendingWork work_;
};

}  // namespace scalefs::diskfs
