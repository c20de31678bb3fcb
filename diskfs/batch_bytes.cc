#include "diskfs/batch_bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "diskfs/journal_format.h"

namespace scalefs::diskfs {

BatchBytes::BatchBytes(AlignedBuffer framed, size_t payload_bytes)
    : buffer_(std::move(framed)), size_(payload_bytes) {
  SCALEFS_CHECK(buffer_.size() >= kBatchHeaderBytes + size_);
}

BatchBytes::BatchBytes(BatchBytes&& other) noexcept
    : buffer_(std::exchange(other.buffer_, {})), size_(std::exchange(other.size_, 0)) {}

BatchBytes& BatchBytes::operator=(BatchBytes&& other) noexcept {
  buffer_ = std::exchange(other.buffer_, {});
  size_ = std::exchange(other.size_, 0);
  return *this;
}

BatchBytes::BatchBytes(const BatchBytes& other) {
  const ConstBytes payload = other.payload();
  if (!payload.empty()) std::memcpy(extend(payload.size()).data(), payload.data(), payload.size());
}

BatchBytes& BatchBytes::operator=(const BatchBytes& other) { return *this = BatchBytes(other); }

ConstBytes BatchBytes::payload() const {
  return size_ == 0 ? ConstBytes() : buffer_.span().subspan(kBatchHeaderBytes, size_);
}

void BatchBytes::reserve(size_t payload_bytes) {
  const size_t wanted = kBatchHeaderBytes + payload_bytes;
  if (wanted <= buffer_.size()) return;
  auto larger = AlignedBuffer::unfilled(wanted);
  const ConstBytes kept = payload();
  if (!kept.empty()) std::memcpy(larger.data() + kBatchHeaderBytes, kept.data(), kept.size());
  buffer_ = std::move(larger);
}

void BatchBytes::prepare(size_t payload_bytes) {
  reserve(payload_bytes);
  for (size_t at = kBatchHeaderBytes + size_; at < buffer_.size(); at += kBlockBytes) {
    buffer_.data()[at] = std::byte{0};
  }
}

Bytes BatchBytes::extend(size_t count) {
  const size_t wanted = size_ + count;
  // By a quarter at least: what a batch does not need it keeps until its checkpoint.
  if (kBatchHeaderBytes + wanted > buffer_.size()) reserve(std::max(wanted, size_ + size_ / 4));
  const Bytes added = buffer_.span().subspan(kBatchHeaderBytes + size_, count);
  size_ = wanted;
  return added;
}

Bytes BatchBytes::framed() {
  reserve(size_);
  const Bytes blocks = buffer_.span().first(batch_blocks(size_) * kBlockBytes);
  const Bytes behind = blocks.subspan(kBatchHeaderBytes + size_);
  std::memset(behind.data(), 0, behind.size());
  return blocks;
}

}  // namespace scalefs::diskfs
