#include "diskfs/varint.h"

namespace scalefs::diskfs {

size_t encode_varint(std::byte* to, uint64_t value) {
  size_t size = 0;
  while (value >= 0x80) {
    to[size++] = static_cast<std::byte>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  to[size++] = static_cast<std::byte>(value);
  return size;
}

uint64_t FieldReader::varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < kVarintBytesMax; ++i) {
    if (i >= rest_.size()) break;
    const auto byte = static_cast<uint64_t>(rest_[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) break;  // beyond 64 bits
    value |= (byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      if (byte == 0 && i > 0) break;  // not the shortest form
      rest_ = rest_.subspan(i + 1);
      return value;
    }
  }
  fail();
  return 0;
}

uint64_t FieldReader::varint_in(uint64_t low, uint64_t high) {
  const uint64_t value = varint();
  if (value >= low && value <= high) return value;
  fail();
  return 0;
}

ConstBytes FieldReader::bytes(size_t size) {
  if (size > rest_.size()) {
    fail();
    return {};
  }
  const ConstBytes taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

}  // namespace scalefs::diskfs
