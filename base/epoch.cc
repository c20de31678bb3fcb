// Why e+2 is enough. Let a reader's record become visible (its fence) when the epoch is g. At most
// one advance can have looked at that record before and still succeed after, so the epoch reaches
// g+1; any later advance sees the record, whose value is at most g, and fails while the reader is
// active. An object that the reader can reach was unlinked after that fence, so retire(), which
// reads the epoch behind a fence of its own, reads at least g; the object lives until g+2.
// A look may take several steps of its thread: what counts is that each record was looked at after the
// looker had read the epoch that it then ends.
#include "base/epoch.h"

#include <sched.h>

#include <array>
#include <memory>
#include <new>
#include <vector>

#include "base/atomic.h"
#include "base/check.h"
#include "base/core.h"
#include "base/mutex.h"

namespace scalefs {

#ifdef SCALEFS_SCHEDULE
namespace epoch {
bool one_period_canary = false;
}
#endif

namespace {

constexpr uint64_t kInactive = 0;

// How many epochs later an object may be freed: see above.
uint64_t periods() {
#ifdef SCALEFS_SCHEDULE
  if (epoch::one_period_canary) return 1;
#endif
  return 2;
}

struct Retired {
  void* object;
  void (*deleter)(void*);
  uint64_t epoch;
};

// A thread's part. Lives for ever; a thread that ends leaves its record, with what is retired in
// it, to the next thread that starts.
struct alignas(kFalseSharingBytes) Record {
  // Written by the owner: the epoch its guard began in, or kInactive.
  Atomic<uint64_t> active{kInactive};
  // Owner only:
  uint32_t depth = 0;
  uint32_t retires = 0;         // since the last step
  uint64_t looked_epoch = 0;    // the epoch at the last step
  Record* looked_at = nullptr;  // the record that stopped the look in that epoch
  // Plain atomics: claiming must not disturb a seeded schedule.
  std::atomic<bool> claimed{false};
  std::atomic<Record*> next{nullptr};

  // Others come here when they free, so it has lines of its own.
  alignas(kFalseSharingBytes) SpinBit lock;
  std::vector<Retired> queue GUARDED_BY(lock);  // epochs ascend from `head` on
  size_t head GUARDED_BY(lock) = 0;
  RelaxedCounter retired;          // ever
  std::atomic<uint64_t> freed{0};  // ever, counted after the deleter (release)
  Atomic<uint32_t> freeing{0};     // batches taken out of the queue whose deleters have not all run
};

// Both stay reachable at exit and have no destructor that could run before a thread's last guard.
struct alignas(kFalseSharingBytes) Records : std::atomic<Record*> {
  using std::atomic<Record*>::atomic;
};
constinit Records records{nullptr};
struct alignas(kFalseSharingBytes) GlobalEpoch : Atomic<uint64_t> {
  using Atomic<uint64_t>::Atomic;
};
constinit GlobalEpoch global_epoch{1};

// Acquire pairs with the release in claim_record.
Record* first_record() { return records.load(std::memory_order_acquire); }
Record* next_record(const Record& r) { return r.next.load(std::memory_order_acquire); }

thread_local Record* own_record = nullptr;

struct ReleaseAtThreadExit {
  ~ReleaseAtThreadExit() {
    if (own_record == nullptr) return;
    SCALEFS_CHECK(own_record->depth == 0);
    own_record->claimed.store(false, std::memory_order_release);  // pairs with the claim below
    own_record = nullptr;
  }
};

Record* claim_record() {
  // A guard in a later thread_local destructor claims again and never releases: harmless.
  thread_local ReleaseAtThreadExit release_at_exit;
  (void)&release_at_exit;
  std::unique_ptr<Record> fresh;
  // New records go to the end, so that the order of records is that in which threads claim them,
  // the first time as well as later: a seeded schedule depends on it.
  for (std::atomic<Record*>* link = &records;;
       link = &link->load(std::memory_order_acquire)->next) {
    Record* r = link->load(std::memory_order_acquire);
    if (r == nullptr) {
      if (fresh == nullptr) {
        fresh = std::make_unique<Record>();
        fresh->claimed.store(true, std::memory_order_relaxed);
      }
      // Release: pairs with the acquire loads of the links, which then may read the new record.
      if (link->compare_exchange_strong(r, fresh.get(), std::memory_order_acq_rel))
        return fresh.release();
    }
    bool expected = false;
    // Pairs with the release at thread exit: the owner-only fields pass on.
    if (r->claimed.compare_exchange_strong(expected, true, std::memory_order_acquire)) {
      r->retires = 0;
      r->looked_epoch = 0;
      r->looked_at = nullptr;
      return r;
    }
  }
}

Record& mine() {
  if (own_record == nullptr) [[unlikely]]
    own_record = claim_record();
  return *own_record;
}

// Makes `r.active` visible before what follows, and what came before visible before it. The thread
// sanitizer knows no fences; on x86 the exchange is one.
void publish_active(Record& r, uint64_t epoch) {
#if defined(__SANITIZE_THREAD__)
  r.active.exchange(epoch, seq_cst);
#else
  r.active.store(epoch, relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // pairs with those in retire and advance
#endif
}

void full_fence() {
#if defined(__SANITIZE_THREAD__)
  static thread_local std::atomic<int> own{0};
  own.exchange(0, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Looks at the records from *from on (at all: null), for the caller's fence came after it had read
// `epoch`. False when a reader is in the way: *from is its record.
bool all_left(uint64_t epoch, Record** from) {
  for (Record* r = *from != nullptr ? *from : first_record(); r != nullptr; r = next_record(*r)) {
    // Nobody who is not in a guard owns an unclaimed record; skipping it is no more than speed.
    if (!r->claimed.load(std::memory_order_acquire)) continue;
    // Acquire pairs with a guard's end: its reads happen before the frees that this allows.
    const uint64_t active = r->active.load(acquire);
    if (active == kInactive || active == epoch) continue;
    *from = r;
    return false;
  }
  return true;
}

bool advance(uint64_t epoch, Record** from) {
  full_fence();  // pairs with publish_active
  return all_left(epoch, from) &&
         global_epoch.compare_exchange(epoch, epoch + 1, acq_rel, relaxed);
}

bool advance() {
  Record* all = nullptr;
  return advance(global_epoch.load(acquire), &all);  // pairs with the exchange above
}

constexpr size_t kBatch = 64;
using Batch = std::array<Retired, kBatch>;

// Nothing waits in `r` that was retired before what the caller knows of. Looking comes before
// locking, so that records that are not used stay unwritten.
bool idle(const Record& r) {
  const uint64_t freed = r.freed.load(std::memory_order_acquire);  // pairs with free_expired
  return freed == r.retired.get();
}

// Moves objects that may be freed out of `r`; how many.
size_t take_expired(Record& r, Batch& batch) {
  const uint64_t epoch = global_epoch.load(acquire);  // pairs with the exchange in advance
  SpinLock lock(r.lock);
  size_t count = 0;
  while (count < kBatch && r.head < r.queue.size() && r.queue[r.head].epoch + periods() <= epoch)
    batch[count++] = r.queue[r.head++];
  if (r.head == r.queue.size()) {
    r.queue.clear();
    r.head = 0;
  } else if (r.head > r.queue.size() / 2) {
    r.queue.erase(r.queue.begin(), r.queue.begin() + static_cast<ptrdiff_t>(r.head));
    r.head = 0;
  }
  // Under the lock, so that whoever finds the queue empty also finds this.
  if (count > 0) r.freeing.fetch_add(1, relaxed);
  return count;
}

void free_expired(Record& r) {
  Batch batch;
  while (const size_t count = take_expired(r, batch)) {
    for (size_t i = 0; i < count; ++i) {
      batch[i].deleter(batch[i].object);
      r.freed.fetch_add(1, std::memory_order_release);  // pairs with the load in idle
    }
    r.freeing.fetch_sub(1, release);  // pairs with the load in drain
    if (count < kBatch) return;
  }
}

// The part of retire() that comes once in a while.
void step(Record& r) {
  const uint64_t epoch = global_epoch.load(acquire);  // pairs with the exchange in advance
  if (epoch == r.looked_epoch) {
    if (advance(epoch, &r.looked_at)) {
      r.looked_epoch = epoch + 1;
      r.looked_at = nullptr;
    }
  } else {
    r.looked_epoch = epoch;
    r.looked_at = nullptr;
  }
  free_expired(r);
}

void free_all_expired() {
  for (Record* r = first_record(); r != nullptr; r = next_record(*r))
    if (!idle(*r)) free_expired(*r);
}

void step_aside() {
#ifdef SCALEFS_SCHEDULE
  schedule::yield();
#else
  ::sched_yield();
#endif
}

// Frees all that was retired before the call.
void drain_once() {
  full_fence();
  const uint64_t target = global_epoch.load(acquire) + 2;  // pairs with the exchange in advance
  while (global_epoch.load(acquire) < target) {
    if (!advance()) step_aside();
  }
  for (Record* r = first_record(); r != nullptr; r = next_record(*r)) {
    if (idle(*r)) continue;
    free_expired(*r);
    // Acquire pairs with free_expired in the thread that took a batch out before us.
    while (r->freeing.load(acquire) != 0) step_aside();
  }
}

}  // namespace

EpochGuard::EpochGuard() {
  Record& r = mine();
  if (r.depth++ > 0) return;
  publish_active(r, global_epoch.load(acquire));  // pairs with the exchange in advance
}

EpochGuard::~EpochGuard() {
  Record& r = mine();
  SCALEFS_DCHECK(r.depth > 0);
  if (--r.depth == 0) r.active.store(kInactive, release);  // pairs with the load in advance
}

namespace epoch {

void retire(void* object, void (*deleter)(void*)) {
  Record& r = mine();
  full_fence();  // the caller's unlinking comes before the epoch is read; pairs with publish_active
  const uint64_t now = global_epoch.load(acquire);  // pairs with the exchange in advance
  r.retired.add(1);
  {
    SpinLock lock(r.lock);
    try {
      r.queue.push_back({object, deleter, now});
    } catch (const std::bad_alloc&) {
      r.freed.fetch_add(1, std::memory_order_release);  // lost, and nobody shall wait for it
      return;
    }
  }
  if (++r.retires < kRetiresAStep) return;
  r.retires = 0;
  step(r);
}

bool try_advance() {
  const bool advanced = advance();
  free_all_expired();
  return advanced;
}

void drain() {
  SCALEFS_CHECK(!in_guard());
  // A deleter may retire what its object owned; chains of any sensible depth end here, while
  // threads that go on retiring cannot keep the caller for ever.
  constexpr int kChainMax = 64;
  for (int i = 0; i < kChainMax; ++i) {
    drain_once();
    if (pending() == 0) return;
  }
}

size_t pending() {
  uint64_t freed = 0;
  uint64_t retired = 0;
  for (Record* r = first_record(); r != nullptr; r = next_record(*r)) {
    freed +=
        r->freed.load(std::memory_order_relaxed);  // first, so that the difference is not negative
    retired += r->retired.get();
  }
  return static_cast<size_t>(retired - freed);
}

bool in_guard() { return own_record != nullptr && own_record->depth > 0; }

}  // namespace epoch
}  // namespace scalefs
