// The header of a batch in the journal (FORMAT.md, "Journal"), and how places in the circular area
// are counted: a position counts on past the end of the area, in memory only, and stands at block
// `position % blocks` of it. On the device, headers and superblocks name that block.
//
// Nothing here is stateful; every function may be called from any thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/units.h"

namespace scalefs::diskfs {

inline constexpr uint64_t kBatchMagic = 0x4843544142534653;  // "SFSBATCH"
inline constexpr size_t kBatchHeaderBytes = 96;
// An encoded batch is never longer, whatever the size of the journal.
inline constexpr size_t kBatchPayloadBytesMax = 4u << 20;

namespace batch_offset {
inline constexpr size_t magic = 0, uuid = 8, mount_epoch = 24, sequence = 32, own_block = 40,
                        checkpoint_generation = 48, flushed_seq = 56, previous_crc = 64,
                        payload_bytes = 68, op_count = 72, reserved0 = 76, seal = 80,
                        reserved1 = 88, crc = 92;
}  // namespace batch_offset
static_assert(batch_offset::crc + sizeof(uint32_t) == kBatchHeaderBytes);

// Where the journal of a volume is and what its batches are sealed with.
struct JournalArea {
  BlockNo first;
  uint64_t blocks = 0;
  std::array<uint8_t, 16> uuid{};
  HashKey key;  // the volume's hash key
};

// A place between two batches.
struct JournalPoint {
  uint64_t position = 0;      // of the batch that follows
  uint64_t sequence = 0;      // of the batch that follows
  uint32_t previous_crc = 0;  // `crc` of the batch before
  friend bool operator==(const JournalPoint&, const JournalPoint&) = default;
};

struct BatchHeader {
  uint64_t mount_epoch = 0;
  uint64_t sequence = 0;
  uint64_t own_block = 0;              // of the area, where the header stands
  uint64_t checkpoint_generation = 0;  // of the newest superblock known durable at writing
  uint64_t flushed_seq = 0;            // highest sequence known durable at writing
  uint32_t previous_crc = 0;
  uint32_t payload_bytes = 0;
  uint32_t op_count = 0;
  uint32_t crc = 0;  // CRC32C over bytes 0..91 of the header and the payload
};

inline uint64_t batch_blocks(uint64_t payload_bytes) {
  return (kBatchHeaderBytes + payload_bytes + kBlockBytes - 1) / kBlockBytes;
}
// The longest payload that a journal of `blocks` blocks takes: a quarter of it, so that a commit
// never needs all of the space that checkpoints give back.
size_t batch_payload_bytes_max(uint64_t blocks);

// Writes the header at the front of `batch`, which holds the payload behind it; computes seal and
// crc, and stores the latter in `header` too.
void encode_batch_header(const JournalArea& area, BatchHeader& header, Bytes batch);
// Reads a header from the first bytes of a block of any content. False unless it was written by
// somebody who knew the volume's key: magic, uuid, seal, zero reserved bytes, place and length
// inside the area. Says nothing about the payload.
bool decode_batch_header(const JournalArea& area, ConstBytes block, BatchHeader* header);
// Whether `batch`, at least header.payload_bytes long behind the header, has the checksum that it
// claims.
bool batch_crc_matches(const BatchHeader& header, ConstBytes batch);

}  // namespace scalefs::diskfs
