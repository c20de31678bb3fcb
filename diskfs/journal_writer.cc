#include "diskfs/journal_writer.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/check.h"

namespace scalefs::diskfs {

JournalWriter::JournalWriter(BlockDevice& device, const JournalArea& area, uint64_t mount_epoch,
                             const JournalPoint& start)
    : device_(device),
      area_(area),
      mount_epoch_(mount_epoch),
      point_(start),
      flushed_seq_(start.sequence - 1) {
  SCALEFS_CHECK(start.sequence >= 1);
}

Status JournalWriter::append(ConstBytes payload, uint32_t op_count,
                             uint64_t checkpoint_generation) {
  SCALEFS_CHECK(payload.size() <= batch_payload_bytes_max(area_.blocks));
  auto batch = AlignedBuffer::unfilled(kBatchHeaderBytes + payload.size());
  const Bytes behind = batch.span().subspan(kBatchHeaderBytes);
  if (!payload.empty()) std::memcpy(behind.data(), payload.data(), payload.size());
  std::memset(behind.data() + payload.size(), 0, behind.size() - payload.size());
  BatchHeader header;
  header.mount_epoch = mount_epoch_;
  header.sequence = point_.sequence;
  header.own_block = point_.position % area_.blocks;
  header.checkpoint_generation = checkpoint_generation;
  header.flushed_seq = flushed_seq_;
  header.previous_crc = point_.previous_crc;
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  header.op_count = op_count;
  encode_batch_header(area_, header, batch.span());

  const uint64_t at = header.own_block;
  const size_t before_end =
      std::min<uint64_t>(batch.size(), (area_.blocks - at) * kBlockBytes);
  SCALEFS_TRY_VOID(device_.write(BlockNo(area_.first.v + at), batch.span().first(before_end)));
  if (before_end < batch.size()) {
    SCALEFS_TRY_VOID(device_.write(area_.first, batch.span().subspan(before_end)));
  }
  point_.position += batch_blocks(payload.size());
  point_.sequence += 1;
  point_.previous_crc = header.crc;
  return {};
}

}  // namespace scalefs::diskfs
