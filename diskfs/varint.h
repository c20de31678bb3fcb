// Variable-length integers of the batch encoding: seven bits a byte, least significant group first,
// the top bit set on every byte but the last. Only the shortest form is valid, so that a batch has
// exactly one encoding. Signed values are zigzag-mapped first (0, -1, 1, -2, ...).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace scalefs::diskfs {

inline constexpr size_t kVarintBytesMax = 10;

inline uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// Writes `value` to `to`, kVarintBytesMax bytes at the most; returns how many.
size_t encode_varint(std::byte* to, uint64_t value);

// Takes fields off the front of a span. The first malformed or missing field makes it bad for good:
// everything after reads as zero or empty, so that callers check once an operation. Not thread-safe.
class FieldReader {
 public:
  explicit FieldReader(ConstBytes bytes) : rest_(bytes) {}

  bool bad() const { return bad_; }
  bool at_end() const { return rest_.empty(); }
  void fail() {
    bad_ = true;
    rest_ = {};
  }
  // Fails when `valid` is false.
  void require(bool valid) {
    if (!valid) fail();
  }

  uint64_t varint();
  // A varint in [low, high].
  uint64_t varint_in(uint64_t low, uint64_t high);
  // Exactly `size` bytes of the input, not copied.
  ConstBytes bytes(size_t size);
  template <class T>
  T le() {
    const ConstBytes raw = bytes(sizeof(T));
    return bad_ ? T{0} : load_le<T>(raw.data());
  }

 private:
  ConstBytes rest_;
  bool bad_ = false;
};

}  // namespace scalefs::diskfs
