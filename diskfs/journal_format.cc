#include "diskfs/journal_format.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace scalefs::diskfs {

namespace {

// A keyed hash over the header: a file's content that looks like a header, in a block of the area
// that a torn batch left behind, cannot pass for one.
uint64_t seal_of(const JournalArea& area, const std::byte* header) {
  return siphash24(area.key, header, batch_offset::seal);
}

uint32_t crc_of(ConstBytes batch, size_t payload_bytes) {
  const uint32_t header = crc32c(batch.data(), batch_offset::crc);
  return crc32c(batch.data() + kBatchHeaderBytes, payload_bytes, header);
}

}  // namespace

size_t batch_payload_bytes_max(uint64_t blocks) {
  const uint64_t quarter = std::max<uint64_t>(blocks / 4, 1) * kBlockBytes - kBatchHeaderBytes;
  return std::min<uint64_t>(quarter, kBatchPayloadBytesMax);
}

void encode_batch_header(const JournalArea& area, BatchHeader& header, Bytes batch) {
  SCALEFS_CHECK(batch.size() >= kBatchHeaderBytes + header.payload_bytes);
  std::byte* const to = batch.data();
  std::memset(to, 0, kBatchHeaderBytes);
  store_le(to + batch_offset::magic, kBatchMagic);
  std::memcpy(to + batch_offset::uuid, area.uuid.data(), area.uuid.size());
  store_le(to + batch_offset::mount_epoch, header.mount_epoch);
  store_le(to + batch_offset::sequence, header.sequence);
  store_le(to + batch_offset::own_block, header.own_block);
  store_le(to + batch_offset::checkpoint_generation, header.checkpoint_generation);
  store_le(to + batch_offset::flushed_seq, header.flushed_seq);
  store_le(to + batch_offset::previous_crc, header.previous_crc);
  store_le(to + batch_offset::payload_bytes, header.payload_bytes);
  store_le(to + batch_offset::op_count, header.op_count);
  store_le(to + batch_offset::seal, seal_of(area, to));
  header.crc = crc_of(batch, header.payload_bytes);
  store_le(to + batch_offset::crc, header.crc);
}

bool decode_batch_header(const JournalArea& area, ConstBytes block, BatchHeader* header) {
  SCALEFS_CHECK(block.size() >= kBatchHeaderBytes);
  const std::byte* const from = block.data();
  if (load_le<uint64_t>(from + batch_offset::magic) != kBatchMagic) return false;
  if (std::memcmp(from + batch_offset::uuid, area.uuid.data(), area.uuid.size()) != 0) return false;
  if (load_le<uint64_t>(from + batch_offset::seal) != seal_of(area, from)) return false;
  if (load_le<uint32_t>(from + batch_offset::reserved0) != 0) return false;
  if (load_le<uint32_t>(from + batch_offset::reserved1) != 0) return false;
  header->mount_epoch = load_le<uint64_t>(from + batch_offset::mount_epoch);
  header->sequence = load_le<uint64_t>(from + batch_offset::sequence);
  header->own_block = load_le<uint64_t>(from + batch_offset::own_block);
  header->checkpoint_generation = load_le<uint64_t>(from + batch_offset::checkpoint_generation);
  header->flushed_seq = load_le<uint64_t>(from + batch_offset::flushed_seq);
  header->previous_crc = load_le<uint32_t>(from + batch_offset::previous_crc);
  header->payload_bytes = load_le<uint32_t>(from + batch_offset::payload_bytes);
  header->op_count = load_le<uint32_t>(from + batch_offset::op_count);
  header->crc = load_le<uint32_t>(from + batch_offset::crc);
  return header->own_block < area.blocks && header->payload_bytes <= kBatchPayloadBytesMax &&
         batch_blocks(header->payload_bytes) <= area.blocks;
}

bool batch_crc_matches(const BatchHeader& header, ConstBytes batch) {
  return batch.size() >= kBatchHeaderBytes + header.payload_bytes &&
         crc_of(batch, header.payload_bytes) == header.crc;
}

}  // namespace scalefs::diskfs
