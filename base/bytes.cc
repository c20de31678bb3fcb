#include "base/bytes.h"

#include <atomic>

#include "base/atomic.h"

#if !defined(SCALEFS_SCHEDULE) && !defined(SCALEFS_RECORD) && !defined(__SANITIZE_THREAD__)
#define SCALEFS_PLAIN_COPIES 1
#endif
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#undef SCALEFS_PLAIN_COPIES
#endif
#endif

namespace scalefs {

#ifdef SCALEFS_PLAIN_COPIES

// With the C library's copies a read of a page in memory costs two thirds of what it does with a loop
// of atomic words. What makes them as good here: the machine's loads and stores are atomic by byte, the caller's seqlock
// throws torn copies away, and the fences keep the compiler from moving a copy over its counter.
static_assert(sizeof(void*) == 8, "the order of plain copies was looked at for x86-64 and AArch64");

void racy_load(void* to, const void* shared_from, size_t size) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(to, shared_from, size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void racy_store(void* shared_to, const void* from, size_t size) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(shared_to, from, size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void racy_zero(void* shared_to, size_t size) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memset(shared_to, 0, size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

#else

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

#endif

}  // namespace scalefs
