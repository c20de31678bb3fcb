#include "oplog/op_log.h"

#include <algorithm>
#include <utility>

#include "base/atomic.h"
#include "base/canary.h"
#include "base/check.h"
#include "base/clock.h"

namespace scalefs::oplog {
namespace {

// How many slots a thread tries before it sleeps on its own core's.
constexpr uint32_t kSlotsTried = 4;

struct List {
  LogEntry* head = nullptr;
  LogEntry* tail = nullptr;

  void push(LogEntry* entry) {
    entry->next = nullptr;
    (tail != nullptr ? tail->next : head) = entry;
    tail = entry;
  }
  void append(List other) {
    if (other.head == nullptr) return;
    (tail != nullptr ? tail->next : head) = other.head;
    tail = other.tail;
  }
  // Splits off everything up to `last`, which is in it; the first.
  LogEntry* take_through(LogEntry* last) {
    LogEntry* const first = std::exchange(head, last->next);
    last->next = nullptr;
    if (head == nullptr) tail = nullptr;
    return first;
  }
  void free_all() {
    while (head != nullptr) delete std::exchange(head, head->next);
    tail = nullptr;
  }
};

// The entries at the beginning of a list that a cut takes.
struct Covered {
  LogEntry* last = nullptr;
  uint64_t count = 0, cost = 0, places = 0;
};

bool later(const LogEntry* a, const LogEntry* b) {
  if (a->stamp != b->stamp) return a->stamp > b->stamp;
  if (a->slot != b->slot) return a->slot > b->slot;
  return a->sequence > b->sequence;
}

}  // namespace

struct OpLog::SlotState {
  Mutex lock;
  // Written under the lock; the cut and floor() read it without, and are content with any value
  // that it had, hence relaxed.
  Atomic<Stamp> last{0};
  uint64_t sequence GUARDED_BY(lock) = 0;
  List list GUARDED_BY(lock);
  // Statistics. Relaxed; the slot's holder adds, the cut subtracts.
  Atomic<uint64_t> depth{0};
  Atomic<uint64_t> cost{0};
  Atomic<uint64_t> places{0};
  // The cut's own: entries that it has found and not taken, because they are above its T or there was no memory, and
  // those of them that it is about to take.
  alignas(kFalseSharingBytes) List carried;
  Covered covered;
};

OpLog::OpLog() : slots_(std::make_unique<PerCore<SlotState>>()) {}

OpLog::~OpLog() {
  for (uint32_t i = 0; i < slots_->size(); ++i) {
    SlotState& slot = slots_->at(i);
    MutexLock lock(slot.lock);
    slot.list.free_all();
    slot.carried.free_all();
  }
}

OpLog::Slot::Slot(OpLog& log) NO_THREAD_SAFETY_ANALYSIS : log_(log) {
  const uint32_t count = log.slots_->size();
  const uint32_t own = current_core() % count;
  for (uint32_t i = 0; i < std::min(kSlotsTried, count); ++i) {
    index_ = own + i < count ? own + i : own + i - count;
    if (log.slots_->at(index_).lock.try_lock()) return;
  }
  index_ = own;
  log.slots_->at(index_).lock.lock();
}

OpLog::Slot::~Slot() NO_THREAD_SAFETY_ANALYSIS { log_.slots_->at(index_).lock.unlock(); }

Stamp OpLog::Slot::stamp(Stamp at_least) {
  SCALEFS_CHECK(stamp_ == 0);
  SlotState& slot = log_.slots_->at(index_);
  // Acquire: the cut's release store; also ordered by the slot's lock, which is what I3 rests on.
  const Stamp floor = log_.floor_.value.load(acquire);
  stamp_ = std::max({cycle_now(), floor, slot.last.load(relaxed), at_least}) + 1;
  slot.last.store(stamp_, relaxed);
  return stamp_;
}

void OpLog::Slot::append(std::unique_ptr<LogEntry> entry) NO_THREAD_SAFETY_ANALYSIS {
  SCALEFS_CHECK(stamp_ != 0 && entry != nullptr);
  SlotState& slot = log_.slots_->at(index_);
  entry->stamp = stamp_;
  entry->slot = index_;
  entry->sequence = slot.sequence++;
  slot.depth.fetch_add(1, relaxed);
  slot.cost.fetch_add(entry->cost_bytes, relaxed);
  slot.places.fetch_add(entry->cost_places, relaxed);
  slot.list.push(entry.release());
}

OpLog::Cut OpLog::cut() {
  Cut cut;
  cut.upto = std::max(cycle_now(), floor());
  floor_.value.store(cut.upto, release);  // pairs with Slot::stamp
  std::vector<LogEntry*> heads;
  heads.reserve(slots_->size());
  uint64_t total = 0;
  for (uint32_t i = 0; i < slots_->size(); ++i) {
    SlotState& slot = slots_->at(i);
    if (canary(Canary::merge_skips_log) && total != 0) break;
    List fresh;
    {
      MutexLock lock(slot.lock);
      fresh = std::exchange(slot.list, List{});
    }
    slot.carried.append(fresh);
    slot.covered = {};
    // The list ascends.
    for (LogEntry* e = slot.carried.head; e != nullptr && e->stamp <= cut.upto; e = e->next) {
      slot.covered.last = e;
      ++slot.covered.count;
      slot.covered.cost += e->cost_bytes;
      slot.covered.places += e->cost_places;
    }
    total += slot.covered.count;
  }
  cut.entries.reserve(total);
  // From here on nothing fails.
  for (uint32_t i = 0; i < slots_->size(); ++i) {
    SlotState& slot = slots_->at(i);
    const Covered covered = std::exchange(slot.covered, {});
    if (covered.last == nullptr) continue;
    heads.push_back(slot.carried.take_through(covered.last));
    slot.depth.fetch_sub(covered.count, relaxed);
    slot.cost.fetch_sub(covered.cost, relaxed);
    slot.places.fetch_sub(covered.places, relaxed);
  }
  std::make_heap(heads.begin(), heads.end(), later);
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), later);
    LogEntry* first = heads.back();
    if (first->next != nullptr) {
      heads.back() = std::exchange(first->next, nullptr);
      std::push_heap(heads.begin(), heads.end(), later);
    } else {
      heads.pop_back();
    }
    cut.entries.emplace_back(first);
  }
  return cut;
}

Stamp OpLog::floor() const {
  Stamp largest = floor_.value.load(acquire);  // pairs with cut
  for (uint32_t i = 0; i < slots_->size(); ++i)
    largest = std::max(largest, slots_->at(i).last.load(relaxed));
  return largest;
}

uint64_t OpLog::depth() const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < slots_->size(); ++i) sum += depth_of(i);
  return sum;
}

uint64_t OpLog::depth_of(uint32_t slot) const {
  return slot < slots_->size() ? slots_->at(slot).depth.load(relaxed) : 0;
}

uint64_t OpLog::cost_bytes() const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < slots_->size(); ++i) sum += slots_->at(i).cost.load(relaxed);
  return sum;
}

uint64_t OpLog::cost_places() const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < slots_->size(); ++i) sum += slots_->at(i).places.load(relaxed);
  return sum;
}

}  // namespace scalefs::oplog
