#include "diskfs/allocator.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/memory.h"

namespace scalefs::diskfs {

namespace {

constexpr uint64_t kWordBits = 64;
// How many words an allocation looks at in search of a longer run, once it has found one.
constexpr uint64_t kSearchWordsMax = 64;

bool bit_is_set(const std::vector<uint64_t>& words, uint64_t bit) {
  return (words[bit / kWordBits] >> (bit % kWordBits) & 1) != 0;
}

// First bit at or after `from` and below `end` that is set (or clear); `end` when there is none.
uint64_t find_bit(const std::vector<uint64_t>& words, uint64_t from, uint64_t end, bool set) {
  while (from < end) {
    uint64_t word = words[from / kWordBits];
    if (!set) word = ~word;
    word >>= from % kWordBits;
    if (word != 0) return std::min(end, from + std::countr_zero(word));
    from = (from / kWordBits + 1) * kWordBits;
  }
  return end;
}

// Bits [from, from + count) of words_, all of which must be `!to`.
void change_bits(std::vector<uint64_t>& words, uint64_t from, uint64_t count, bool to) {
  while (count > 0) {
    uint64_t shift = from % kWordBits;
    uint64_t part = std::min(count, kWordBits - shift);
    uint64_t mask = (part == kWordBits ? ~uint64_t{0} : (uint64_t{1} << part) - 1) << shift;
    uint64_t& word = words[from / kWordBits];
    SCALEFS_CHECK((word & mask) == (to ? 0 : mask));
    word ^= mask;
    from += part;
    count -= part;
  }
}

}  // namespace

struct alignas(kFalseSharingBytes) Allocator::Group {
  Mutex mutex;
  uint64_t first = 0;  // block
  uint64_t bits = 0;
  std::vector<uint64_t> words GUARDED_BY(mutex);  // set: taken; bits beyond `bits` are set
  uint64_t next GUARDED_BY(mutex) = 0;            // where the search goes on
  // Written under the mutex, read without it: an old value costs a look or an earlier ENOSPC, which
  // allocate() rules out by looking under the lock. Relaxed.
  Atomic<uint64_t> free{0};
};

Allocator::Allocator(uint64_t block_count, uint64_t group_blocks,
                     const std::function<bool(uint64_t)>& taken)
    : block_count_(block_count), group_blocks_(group_blocks) {
  SCALEFS_CHECK(block_count > 0 && group_blocks > 0);
  for (uint64_t first = 0; first < block_count; first += group_blocks) {
    auto group = std::make_unique<Group>();
    MutexLock lock(group->mutex);
    group->first = first;
    group->bits = std::min(group_blocks, block_count - first);
    group->words.assign((group->bits + kWordBits - 1) / kWordBits, ~uint64_t{0});
    uint64_t free = 0;
    for (uint64_t bit = 0; bit < group->bits; ++bit) {
      if (taken(first + bit)) continue;
      group->words[bit / kWordBits] &= ~(uint64_t{1} << bit % kWordBits);
      ++free;
    }
    group->free.store(free, relaxed);
    groups_.push_back(std::move(group));
  }
  for (uint32_t core = 0; core < preferred_.size(); ++core) {
    preferred_.at(core).store(static_cast<uint32_t>(core % groups_.size()), relaxed);
  }
  memory_count(MemoryClass::space_map, static_cast<int64_t>(block_count / 8));
}

Allocator::~Allocator() {
  memory_count(MemoryClass::space_map, -static_cast<int64_t>(block_count_ / 8));
}

// The first run of `want` free blocks from where the last search ended, or the longest that a
// bounded search finds.
Result<BlockRun> Allocator::allocate_in(Group& group, uint64_t want) {
  MutexLock lock(group.mutex);
  uint64_t best = 0, best_count = 0;
  uint64_t from = group.next < group.bits ? group.next : 0;
  uint64_t search_end = group.bits;
  bool wrapped = from == 0;
  while (best_count < want) {
    uint64_t start = find_bit(group.words, from, search_end, false);
    if (start >= search_end) {
      if (wrapped || best_count > 0) break;
      wrapped = true;
      from = 0;
      continue;
    }
    uint64_t end = find_bit(group.words, start, std::min(group.bits, start + want), true);
    if (best_count == 0) search_end = std::min(group.bits, start + kSearchWordsMax * kWordBits);
    if (end - start > best_count) {
      best = start;
      best_count = end - start;
    }
    from = end;
  }
  if (best_count == 0) return Errno(ENOSPC);
  change_bits(group.words, best, best_count, true);
  group.next = best + best_count;
  group.free.store(group.free.load(relaxed) - best_count, relaxed);
  return BlockRun{BlockNo(group.first + best), best_count};
}

Result<BlockRun> Allocator::allocate(uint32_t core, uint64_t want) {
  SCALEFS_CHECK(want > 0);
  Atomic<uint32_t>& preferred = preferred_.at(core % preferred_.size());
  uint64_t start = preferred.load(relaxed);
  // The counters are looked at first; only when they say that all is full, every group is asked.
  for (bool ask_all : {false, true}) {
    for (uint64_t i = 0; i < groups_.size(); ++i) {
      uint64_t index = (start + i) % groups_.size();
      if (!ask_all && groups_[index]->free.load(relaxed) == 0) continue;
      auto run = allocate_in(*groups_[index], want);
      if (!run.ok()) continue;
      if (i != 0) preferred.store(static_cast<uint32_t>(index), relaxed);
      return run;
    }
  }
  return Errno(ENOSPC);
}

template <class Each>
void Allocator::split(BlockRun run, const Each& each) {
  SCALEFS_CHECK(run.first.v < block_count_ && run.count <= block_count_ - run.first.v);
  uint64_t block = run.first.v;
  uint64_t left = run.count;
  while (left > 0) {
    Group& group = *groups_[block / group_blocks_];
    uint64_t bit = block - group.first;
    uint64_t part = std::min(left, group.bits - bit);
    each(group, bit, part);
    block += part;
    left -= part;
  }
}

void Allocator::free(BlockRun run) {
  split(run, [](Group& group, uint64_t bit, uint64_t count) {
    MutexLock lock(group.mutex);
    change_bits(group.words, bit, count, false);
    group.free.store(group.free.load(relaxed) + count, relaxed);
  });
}

void Allocator::take(BlockRun run) {
  split(run, [](Group& group, uint64_t bit, uint64_t count) {
    MutexLock lock(group.mutex);
    for (uint64_t i = bit; i < bit + count; ++i) {
      if (bit_is_set(group.words, i)) continue;
      change_bits(group.words, i, 1, true);
      group.free.store(group.free.load(relaxed) - 1, relaxed);
    }
  });
}

uint64_t Allocator::free_blocks() const {
  uint64_t free = 0;
  for (const auto& group : groups_) free += group->free.load(relaxed);
  return free;
}

bool Allocator::is_taken(BlockNo block) const {
  SCALEFS_CHECK(block.v < block_count_);
  Group& group = *groups_[block.v / group_blocks_];
  MutexLock lock(group.mutex);
  return bit_is_set(group.words, block.v - group.first);
}

}  // namespace scalefs::diskfs
