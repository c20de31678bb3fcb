// For containers whose memory many cores read for a long time: whole cache lines, so that nothing which one core allocates,
// writes and frees meanwhile has a part of them.
#pragma once

#include <cstddef>
#include <new>

namespace scalefs {

template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr size_t kLineBytes = 64;

  LineAllocator() = default;
  template <class Other>
  LineAllocator(const LineAllocator<Other>&) {}

  // Throws std::bad_alloc.
  T* allocate(size_t count) {
    const size_t bytes = (count * sizeof(T) + kLineBytes - 1) / kLineBytes * kLineBytes;
    return static_cast<T*>(::operator new(bytes, std::align_val_t(kLineBytes)));
  }
  void deallocate(T* memory, size_t) { ::operator delete(memory, std::align_val_t(kLineBytes)); }

  bool operator==(const LineAllocator&) const { return true; }
};

}  // namespace scalefs
