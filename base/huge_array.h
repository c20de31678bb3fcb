// An array for a big hash table: value-initialized, and in huge pages, but for its ends, where the system has them to
// give (madvise mode is enough), since each access is to a page of its own.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>

namespace scalefs {

template <class T>
class HugeArray {
 public:
  // From here on; less may hold no huge page.
  static constexpr size_t kBigBytes = size_t{4} << 20;

  // Throws std::bad_alloc.
  explicit HugeArray(size_t count) : count_(count) {
    const size_t bytes = count * sizeof(T);
    items_ = static_cast<T*>(::operator new[](bytes, alignment()));
    // Advice: without it the pages are small.
    if (bytes >= kBigBytes) (void)::madvise(items_, bytes, MADV_HUGEPAGE);
    std::uninitialized_value_construct_n(items_, count);
  }
  ~HugeArray() {
    std::destroy_n(items_, count_);
    ::operator delete[](items_, alignment());
  }
  HugeArray(const HugeArray&) = delete;
  HugeArray& operator=(const HugeArray&) = delete;

  T& operator[](size_t i) const { return items_[i]; }

 private:
  static constexpr size_t kPageBytes = 4096;
  std::align_val_t alignment() const {
    return std::align_val_t(count_ * sizeof(T) >= kBigBytes ? kPageBytes : alignof(T));
  }

  const size_t count_;
  T* items_;
};

}  // namespace scalefs
