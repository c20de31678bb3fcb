// The bytes of one batch as they stand in the journal: room for the header (journal_format.h), the encoded
// operations behind it, zeros to the end of the last block; in memory aligned as direct I/O wants it, so
// that a batch is encoded, written and kept until its checkpoint in one place.
//
// Not thread-safe. Throws std::bad_alloc; what it holds is then as before.
#pragma once

#include "base/aligned_buffer.h"
#include "base/bytes.h"

namespace scalefs::diskfs {

class BatchBytes {
 public:
  BatchBytes() = default;
  // Holds a batch of `payload_bytes` behind a header, as read from the journal.
  BatchBytes(AlignedBuffer framed, size_t payload_bytes);
  BatchBytes(BatchBytes&& other) noexcept;
  BatchBytes& operator=(BatchBytes&& other) noexcept;
  BatchBytes(const BatchBytes& other);
  BatchBytes& operator=(const BatchBytes& other);
  ~BatchBytes() = default;

  // The encoded operations.
  ConstBytes payload() const;
  size_t size() const { return size_; }
  // Bytes of memory, the room for the header and what it may grow by included.
  size_t memory_bytes() const { return buffer_.size(); }

  // Room for so many bytes of payload.
  void reserve(size_t payload_bytes);
  // reserve(), and the memory is there: its first use waits for no page fault.
  void prepare(size_t payload_bytes);
  // Adds `count` bytes at the end, for the caller to fill.
  Bytes extend(size_t count);
  void clear() { size_ = 0; }
  // The whole blocks that the journal takes, those of an empty batch too. The header's bytes are the
  // caller's to fill, those behind the payload are zero.
  Bytes framed();

 private:
  AlignedBuffer buffer_;
  size_t size_ = 0;  // of the payload
};

}  // namespace scalefs::diskfs
