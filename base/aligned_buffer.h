// Heap memory aligned to a block, as direct I/O wants it. Zeroed on construction, but by unfilled().
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/bytes.h"
#include "base/units.h"

namespace scalefs {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // `bytes` is rounded up to whole blocks. Throws std::bad_alloc.
  explicit AlignedBuffer(size_t bytes) : AlignedBuffer(unfilled(bytes)) { std::memset(data_.get(), 0, size_); }
  // Holds anything: whoever makes it writes all that is read of it.
  static AlignedBuffer unfilled(size_t bytes) {
    AlignedBuffer buffer;
    buffer.size_ = (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    buffer.data_.reset(
        static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, std::max<size_t>(buffer.size_, kBlockBytes))));
    if (!buffer.data_) throw std::bad_alloc();
    return buffer;
  }
  size_t size() const { return size_; }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  Bytes span() { return {data_.get(), size_}; }
  ConstBytes span() const { return {data_.get(), size_}; }
  Bytes block(size_t index) { return span().subspan(index * kBlockBytes, kBlockBytes); }
  ConstBytes block(size_t index) const { return span().subspan(index * kBlockBytes, kBlockBytes); }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  size_t size_ = 0;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace scalefs
