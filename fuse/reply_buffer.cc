#include "fuse/reply_buffer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/units.h"

namespace scalefs::fuse {

thread_local ReplyBuffer::Spare ReplyBuffer::spare_;

Bytes ReplyBuffer::take(size_t bytes) {
  SCALEFS_CHECK(memory_ == nullptr);
  if (spare_.capacity >= bytes && spare_.memory != nullptr) {
    memory_ = std::move(spare_.memory);
    capacity_ = std::exchange(spare_.capacity, 0);
  } else {
    capacity_ = std::max(kBlockBytes, (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, capacity_)));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  size_ = bytes;
  return {memory_.get(), size_};
}

ReplyBuffer::~ReplyBuffer() {
  if (memory_ == nullptr || capacity_ < spare_.capacity) return;
  spare_.memory = std::move(memory_);
  spare_.capacity = capacity_;
}

}  // namespace scalefs::fuse
