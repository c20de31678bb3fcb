#include "diskfs/pending_log.h"

#include "base/check.h"
#include "base/memory.h"

namespace scalefs::diskfs {

CommittedBatch::CommittedBatch(BatchBytes bytes, const JournalPoint& end)
    : bytes_(std::move(bytes)), end_(end) {
  SCALEFS_CHECK(work_.add(payload()).ok());
  memory_count(MemoryClass::journal_buffer, static_cast<int64_t>(bytes_.memory_bytes()));
}

CommittedBatch::~CommittedBatch() {
  memory_count(MemoryClass::journal_buffer, -static_cast<int64_t>(bytes_.memory_bytes()));
}

void PendingLog::push(std::shared_ptr<const CommittedBatch> batch) {
  SCALEFS_CHECK(batches_.empty() || batches_.back()->sequence() + 1 == batch->sequence());
  work_ += batch->work();
  batches_.push_back(std::move(batch));
}

void PendingLog::drop_through(uint64_t sequence) {
  while (!batches_.empty() && batches_.front()->sequence() <= sequence) batches_.pop_front();
  work_ = PendingWork();
  for (const auto& batch : batches_) work_ += batch->work();
}

}  // namespace scalefs::diskfs
