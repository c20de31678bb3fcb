#include "diskfs/journal_reader.h"

#include <algorithm>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/canary.h"
#include "base/check.h"

namespace scalefs::diskfs {

namespace {
constexpr uint64_t kLookBlocks = 256;  // read at once while looking beyond the end
}  // namespace

JournalReader::JournalReader(BlockDevice& device, const JournalArea& area, uint64_t mount_epoch,
                             const JournalPoint& start)
    : device_(device),
      area_(area),
      mount_epoch_(mount_epoch),
      start_position_(start.position),
      point_(start) {
  SCALEFS_CHECK(start.position < area.blocks);
}

Status JournalReader::read_blocks(uint64_t position, Bytes to) {
  const uint64_t at = position % area_.blocks;
  const size_t before_end = std::min<uint64_t>(to.size(), (area_.blocks - at) * kBlockBytes);
  SCALEFS_TRY_VOID(device_.read(BlockNo(area_.first.v + at), to.first(before_end)));
  if (before_end == to.size()) return {};
  return device_.read(area_.first, to.subspan(before_end));
}

Result<std::optional<JournalBatch>> JournalReader::next() {
  AlignedBuffer first(kBlockBytes);
  SCALEFS_TRY_VOID(read_blocks(point_.position, first.span()));
  JournalBatch batch;
  BatchHeader& header = batch.header;
  if (!decode_batch_header(area_, first.span(), &header)) return std::optional<JournalBatch>();
  if (header.own_block != point_.position % area_.blocks) return std::optional<JournalBatch>();
  const bool follows = header.mount_epoch == mount_epoch_ && header.sequence == point_.sequence &&
                       header.previous_crc == point_.previous_crc;
  if (!follows && !canary(Canary::old_batch_accepted)) return std::optional<JournalBatch>();
  // The chain cannot be longer than the area: its head would have overwritten its start.
  const uint64_t blocks = batch_blocks(header.payload_bytes);
  if (point_.position + blocks - start_position_ > area_.blocks) {
    return std::optional<JournalBatch>();
  }
  auto whole = AlignedBuffer::unfilled(blocks * kBlockBytes);
  SCALEFS_TRY_VOID(read_blocks(point_.position, whole.span()));
  // The block may differ from what was read before only on a device that lies; the checksum covers
  // the second reading.
  if (!batch_crc_matches(header, whole.span()) && !canary(Canary::batch_checksum_ignored)) {
    return std::optional<JournalBatch>();
  }
  batch.bytes = BatchBytes(std::move(whole), header.payload_bytes);
  point_.position += blocks;
  point_.sequence += 1;
  point_.previous_crc = header.crc;
  return std::optional<JournalBatch>(std::move(batch));
}

Result<JournalReader::Beyond> JournalReader::look_beyond(uint64_t blocks) {
  Beyond beyond;
  const uint64_t left = area_.blocks - (point_.position - start_position_);
  const uint64_t end = point_.position + std::min(blocks, left);
  AlignedBuffer buffer(std::min(kLookBlocks, area_.blocks) * kBlockBytes);
  for (uint64_t position = point_.position; position < end;) {
    const uint64_t count = std::min<uint64_t>(end - position, buffer.size() / kBlockBytes);
    SCALEFS_TRY_VOID(read_blocks(position, buffer.span().first(count * kBlockBytes)));
    for (uint64_t i = 0; i < count; ++i) {
      BatchHeader header;
      if (!decode_batch_header(area_, buffer.block(i), &header)) continue;
      if (header.own_block != (position + i) % area_.blocks) continue;
      if (header.mount_epoch == mount_epoch_ && header.sequence >= point_.sequence) {
        beyond.flushed_seq = std::max(beyond.flushed_seq, header.flushed_seq);
      }
      beyond.mount_epoch = std::max(beyond.mount_epoch, header.mount_epoch);
      beyond.checkpoint_generation =
          std::max(beyond.checkpoint_generation, header.checkpoint_generation);
    }
    position += count;
  }
  return beyond;
}

}  // namespace scalefs::diskfs
