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
// functions; torn copies are possible, the caller's seqlock finds them. `racy_load` reads the shared
// side, `racy_store` writes it. Built for a checker (ThreadSanitizer, schedules, recorded accesses) they
// are loops of relaxed atomic words, which is what the language asks for; else the C library's copies.
void racy_load(void* to, const void* shared_from, size_t size);
void racy_store(void* shared_to, const void* from, size_t size);
void racy_zero(void* shared_to, size_t size);

}  // namespace scalefs
