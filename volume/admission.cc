#include "volume/admission.h"

#include <algorithm>

#include "base/log.h"

namespace scalefs::volume {

namespace {

using memfs::Need;

// Rounds of writeback that one admission does at the most before it goes on over the limit.
constexpr int kWriteBackRounds = 64;

// Recoveries that a call out of the reserve asks for. Each brings it what others may take before.
constexpr int kRecoveriesMax = 64;

// The caller is recovering space: what that admits must not wait for it.
thread_local bool relieving = false;
struct Relieving {
  Relieving() { relieving = true; }
  ~Relieving() { relieving = false; }
  Relieving(const Relieving&) = delete;
  Relieving& operator=(const Relieving&) = delete;
};

bool changes_something(const Need& need) {
  return need.log_bytes != 0 || need.blocks != 0 || need.tree_places != 0 || need.always;
}

}  // namespace

Admission::Admission(Room& room, BlockCredits& credits, Health& health,
                     const AdmissionLimits& limits)
    : room_(room),
      credits_(credits),
      health_(health),
      limits_(limits),
      log_bounds_(bounds_of(std::clamp<uint64_t>(limits.log_bytes_max / (8 * core_count()),
                                                 1u << 15, 1u << 16),
                            2, limits.log_bytes_max / 4)),
      memory_bounds_(bounds_of(std::clamp<uint64_t>(limits.page_bytes_max / (8 * core_count()),
                                                    kBlockBytes, 1u << 20),
                               1, limits.page_bytes_max / 8)),
      log_since_(log_bounds_),
      memory_since_(memory_bounds_) {}

// So many meters of each core between two looks, but not more than `most`.
Admission::Bounds Admission::bounds_of(uint64_t meter, uint64_t meters, uint64_t most) {
  return {meter, std::max(meter, std::min(meters * core_count() * meter, most))};
}

bool Admission::Since::look_is_due(const Bounds& bounds, uint64_t passing) {
  const uint64_t passed = std::max(bounds.meter_bytes, passing);
  if (bytes.fetch_add(passed, relaxed) + passed < bounds.look_bytes) return false;
  bytes.store(0, relaxed);
  return true;
}

Admission::Passed Admission::pass_meter(uint64_t log_bytes, uint64_t memory_bytes) {
  Meter& meter = meters_.mine();
  SpinLock lock(meter.lock);
  Passed passed{true, true};
  meter.log_left -= static_cast<int64_t>(log_bytes);
  if (log_bytes != 0 && meter.log_left < 0) {
    meter.log_left = static_cast<int64_t>(log_bounds_.meter_bytes);
    passed.log = !log_since_.look_is_due(log_bounds_, log_bytes);
  }
  meter.memory_left -= static_cast<int64_t>(memory_bytes);
  if (memory_bytes != 0 && meter.memory_left < 0) {
    meter.memory_left = static_cast<int64_t>(memory_bounds_.meter_bytes);
    passed.memory = !memory_since_.look_is_due(memory_bounds_, memory_bytes);
  }
  return passed;
}

Status Admission::reserve(const Need& need) {
  if (changes_something(need)) SCALEFS_TRY_VOID(health_.may_change());
  const Passed passed = pass_meter(need.log_bytes, need.memory_bytes);
  if (!passed.log) SCALEFS_TRY_VOID(look_at_log(need.log_bytes));
  if (!passed.memory) look_at_memory(need.memory_bytes);
  if (need.blocks == 0 && need.tree_places == 0) return {};
  if (credits_.take_fast(need.blocks, need.tree_places)) return {};
  return need.always ? take_reserved(need.blocks, need.tree_places) : take_blocks(need);
}

void Admission::unreserve(const Need& unused) {
  credits_.end_places(unused.tree_places);
  credits_.give_back(unused.blocks);
  if (unused.log_bytes == 0 && unused.memory_bytes == 0) return;
  Meter& meter = meters_.mine();
  SpinLock lock(meter.lock);
  meter.log_left += static_cast<int64_t>(unused.log_bytes);
  meter.memory_left += static_cast<int64_t>(unused.memory_bytes);
}

Status Admission::reserve_record(uint64_t log_bytes, uint32_t places) {
  if (health_.stopped() || health_.failed()) return Errno(EIO);
  if (!pass_meter(log_bytes, 0).log) SCALEFS_TRY_VOID(look_at_log(log_bytes));
  if (credits_.take_fast(0, places)) return {};
  return take_reserved(0, places);
}

Status Admission::look_at_log(uint64_t bytes) {
  while (true) {
    const uint64_t used = room_.log_bytes();
    if (used >= limits_.commit_bytes || room_.log_operations() >= limits_.commit_operations) {
      room_.want_commit();
    }
    // A record larger than the limit goes alone.
    if (used == 0 || used + bytes <= limits_.log_bytes_max) return {};
    SCALEFS_TRY_VOID(room_.commit());
  }
}

bool Admission::make_memory(uint64_t target) {
  for (int round = 0; round < kWriteBackRounds; ++round) {
    if (room_.evict_pages(target) <= target) return true;
    if (health_.failed() || health_.stopped()) return false;
    if (!room_.write_back_some()) break;
  }
  return room_.evict_pages(target) <= target;
}

void Admission::look_at_memory(uint64_t bytes) {
  const uint64_t limit = limits_.page_bytes_max;
  const uint64_t dirty = room_.dirty_bytes();
  if (dirty > limit / 4) room_.want_write_back();
  // Who makes pages dirty faster than they are written helps to write them.
  for (int round = 0; round < kWriteBackRounds && room_.dirty_bytes() > limit / 2; ++round) {
    if (!room_.write_back_some()) break;
  }
  if (room_.page_bytes() + bytes <= limit) return;
  if (make_memory(page_bytes_target())) return;
  if (health_.read_only() || health_.failed() || health_.stopped()) return;
  // What is left may be pages that only the journal has.
  if (room_.settle_pages().ok()) make_memory(page_bytes_target());
  if (room_.page_bytes() > limit) {
    log_warning("page memory is at {} KiB of {} KiB and nothing can be evicted",
                room_.page_bytes() >> 10, limit >> 10);
  }
}

Status Admission::take_blocks(const Need& need) {
  while (true) {
    const uint64_t seen = relieved_.load(acquire);  // pairs with relieve
    if (credits_.take(need.blocks, need.tree_places)) return {};
    credits_.gather();
    if (credits_.take(need.blocks, need.tree_places)) return {};
    if (relieving) return Errno(ENOSPC);
    SCALEFS_TRY_VOID(relieve(seen));
    if (credits_.take(need.blocks, need.tree_places)) return {};
    MutexLock lock(relief_mutex_);
    // Somebody else recovered space since: it may have been for us.
    if (relieved_.load(relaxed) == seen + 1) return Errno(ENOSPC);
  }
}

// Out of the reserve only what nothing else is left for: a refill of the pool serves the calls that follow.
Status Admission::take_reserved(uint64_t blocks, uint32_t places) {
  if (credits_.take(blocks, places)) return {};
  for (int i = 0; i < kRecoveriesMax; ++i) {
    const uint64_t seen = relieved_.load(acquire);  // pairs with relieve
    if (credits_.take_reserved(blocks, places)) return {};
    credits_.gather();
    if (credits_.take_reserved(blocks, places)) return {};
    if (relieving) return Errno(ENOSPC);
    SCALEFS_TRY_VOID(relieve(seen));
  }
  if (credits_.take_reserved(blocks, places)) return {};
  log_warning("the reserve of space is used up: a call that would give space back is refused");
  return Errno(ENOSPC);
}

Status Admission::relieve(uint64_t seen) {
  MutexLock lock(relief_mutex_);
  if (relieved_.load(relaxed) != seen) return {};
  {
    const Relieving here;
    SCALEFS_TRY_VOID(room_.recover_space());
  }
  relieved_.fetch_add(1, release);  // pairs with take_blocks
  return {};
}

}  // namespace scalefs::volume
