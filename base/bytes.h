// Little-endian access to unaligned bytes, and the copies that a seqlock reader needs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace scalefs {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

template <class T>
T load_le(const void* from) {
  static_assert(std::is_integral_v<T> && std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void store_le(void* to, T value) {
  static_assert(std::is_integral_v<T>);
  std::memcpy(to, &value, sizeof(T));
}

// Copies `size` bytes between memory that other threads may access at the same time through these
// two functions: by relaxed atomic words, so that a torn copy is possible (the caller's seqlock
// finds it) but a data race is not. `racy_load` reads the shared side, `racy_store` writes it.
void racy_load(void* to, const void* shared_from, size_t size);
void racy_store(void* shared_to, const void* from, size_t size);
void racy_zero(void* shared_to, size_t size);

}  // namespace scalefs
