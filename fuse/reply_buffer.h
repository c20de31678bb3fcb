// Memory for the payload of a reply. Each thread keeps the last one that it was done with, so that
// a worker reads and lists without asking the allocator; big ones are given back by the thread's
// end. Not zeroed.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/bytes.h"

namespace scalefs::fuse {

class ReplyBuffer {
 public:
  ReplyBuffer() = default;
  ReplyBuffer(const ReplyBuffer&) = delete;
  ReplyBuffer& operator=(const ReplyBuffer&) = delete;
  ~ReplyBuffer();

  // Block-aligned memory of `bytes`. Throws std::bad_alloc. Once an object.
  Bytes take(size_t bytes);
  Bytes bytes() { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  struct Spare {
    std::unique_ptr<std::byte, Free> memory;
    size_t capacity = 0;
  };
  static thread_local Spare spare_;

  std::unique_ptr<std::byte, Free> memory_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace scalefs::fuse
