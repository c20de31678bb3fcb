#include "base/bytes.h"

#include <atomic>

#include "base/atomic.h"

namespace scalefs {
namespace {

using Word = uint64_t;
static_assert(std::atomic_ref<Word>::is_always_lock_free);
// In the schedule build a switch may come within a copy, once in so many bytes.
constexpr size_t kStretchBytes = 1024;

// Everything here is relaxed: the caller's seqlock or lock orders it; these only exclude the race.
Word load_word(const unsigned char* from) {
  auto* word = reinterpret_cast<Word*>(const_cast<unsigned char*>(from));
  return std::atomic_ref<Word>(*word).load(std::memory_order_relaxed);
}
void store_word(unsigned char* to, Word value) {
  std::atomic_ref<Word>(*reinterpret_cast<Word*>(to)).store(value, std::memory_order_relaxed);
}
unsigned char load_byte(const unsigned char* from) {
  return std::atomic_ref<unsigned char>(*const_cast<unsigned char*>(from))
      .load(std::memory_order_relaxed);
}
void store_byte(unsigned char* to, unsigned char value) {
  std::atomic_ref<unsigned char>(*to).store(value, std::memory_order_relaxed);
}

// Walks `size` bytes of shared memory: `byte(i)` for those outside of whole aligned words,
// `word(i)` for a word at offset i.
template <class ByteStep, class WordStep>
inline void walk(const void* shared, size_t size, ByteStep byte, WordStep word) {
  SCALEFS_SCHED_POINT();
  size_t i = 0;
  const size_t misaligned = reinterpret_cast<uintptr_t>(shared) % sizeof(Word);
  if (misaligned != 0) {
    for (; i < sizeof(Word) - misaligned && i < size; ++i) byte(i);
  }
  while (size - i >= sizeof(Word)) {
    size_t end = i + kStretchBytes;
    if (end > size) end = size;
#pragma GCC unroll 8
    for (; i + sizeof(Word) <= end; i += sizeof(Word)) word(i);
    SCALEFS_SCHED_POINT();
  }
  for (; i < size; ++i) byte(i);
}

}  // namespace

void racy_load(void* to, const void* shared_from, size_t size) {
  auto* target = static_cast<unsigned char*>(to);
  const auto* source = static_cast<const unsigned char*>(shared_from);
  walk(
      source, size, [=](size_t i) { target[i] = load_byte(source + i); },
      [=](size_t i) {
        const Word value = load_word(source + i);
        std::memcpy(target + i, &value, sizeof value);
      });
}

void racy_store(void* shared_to, const void* from, size_t size) {
  auto* target = static_cast<unsigned char*>(shared_to);
  const auto* source = static_cast<const unsigned char*>(from);
  walk(
      target, size, [=](size_t i) { store_byte(target + i, source[i]); },
      [=](size_t i) {
        Word value;
        std::memcpy(&value, source + i, sizeof value);
        store_word(target + i, value);
      });
}

void racy_zero(void* shared_to, size_t size) {
  auto* target = static_cast<unsigned char*>(shared_to);
  walk(
      target, size, [=](size_t i) { store_byte(target + i, 0); },
      [=](size_t i) { store_word(target + i, 0); });
}

}  // namespace scalefs
