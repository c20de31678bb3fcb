#include "diskfs/journal_writer.h"

#include <algorithm>

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

Status JournalWriter::append(BatchBytes& batch, uint32_t op_count,
                             uint64_t checkpoint_generation) {
  SCALEFS_CHECK(batch.size() <= batch_payload_bytes_max(area_.blocks));
  const Bytes blocks = batch.framed();
  BatchHeader header;
  header.mount_epoch = mount_epoch_;
  header.sequence = point_.sequence;
  header.own_block = point_.position % area_.blocks;
  header.checkpoint_generation = checkpoint_generation;
  header.flushed_seq = flushed_seq_;
  header.previous_crc = point_.previous_crc;
  header.payload_bytes = static_cast<uint32_t>(batch.size());
  header.op_count = op_count;
  encode_batch_header(area_, header, blocks);

  const uint64_t at = header.own_block;
  const size_t before_end =
      std::min<uint64_t>(blocks.size(), (area_.blocks - at) * kBlockBytes);
  SCALEFS_TRY_VOID(device_.write(BlockNo(area_.first.v + at), blocks.first(before_end)));
  if (before_end < blocks.size()) {
    SCALEFS_TRY_VOID(device_.write(area_.first, blocks.subspan(before_end)));
  }
  point_.position += blocks.size() / kBlockBytes;
  point_.sequence += 1;
  point_.previous_crc = header.crc;
  return {};
}

}  // namespace scalefs::diskfs
