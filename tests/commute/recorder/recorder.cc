#include "tests/commute/recorder/recorder.h"

#include <algorithm>
#include <map>
#include <memory>
#include <thread>

#include "base/check.h"
#include "base/core.h"
#include "base/mutex.h"

namespace scalefs::record {
namespace {

// A thread that does what it is told, then waits.
class CoreThread {
 public:
  explicit CoreThread(int core) : core_(core) {
    std::thread([this] { work(); }).detach();
  }
  void run(const std::function<void()>& body) {
    MutexLock lock(mutex_);
    body_ = &body;
    changed_.notify_all();
    while (body_ != nullptr) changed_.wait(mutex_);
  }

 private:
  void work() {
    set_thread_core(core_);
    runtime::set_arena(core_ + 1);
    MutexLock lock(mutex_);
    for (;;) {
      while (body_ == nullptr) changed_.wait(mutex_);
      (*body_)();
      body_ = nullptr;
      changed_.notify_all();
    }
  }
  const int core_;
  Mutex mutex_;
  CondVar changed_;
  const std::function<void()>* body_ GUARDED_BY(mutex_) = nullptr;
};

// For ever: the threads outlive main().
CoreThread* core_threads[kCoresMax];

struct Touch {
  uintptr_t line;
  uint32_t index;
  bool writes;
};

std::vector<Touch> touches(int core) {
  std::vector<Touch> all;
  size_t count = 0;
  const Access* list = runtime::list(core, &count);
  for (size_t i = 0; i < count; ++i) {
    const uintptr_t last = list[i].address + list[i].size - 1;
    for (uintptr_t line = list[i].address / kLineBytes; line <= last / kLineBytes; ++line)
      all.push_back({line * kLineBytes, static_cast<uint32_t>(i), list[i].writes()});
  }
  std::sort(all.begin(), all.end(), [](const Touch& a, const Touch& b) {
    return a.line != b.line ? a.line < b.line : a.index < b.index;
  });
  return all;
}

bool overlap(const Access& a, const Access& b) {
  return a.address < b.address + b.size && b.address < a.address + a.size;
}

// Of one line's touches by both cores the pair that says most: the same bytes first, then the
// earliest.
bool best_pair(const Access* list_a, const Touch* a, const Touch* a_end, const Access* list_b,
               const Touch* b, const Touch* b_end, Conflict* conflict) {
  bool found = false;
  for (; a != a_end; ++a) {
    for (const Touch* other = b; other != b_end; ++other) {
      if (!a->writes && !other->writes) continue;
      const bool same = overlap(list_a[a->index], list_b[other->index]);
      if (found && (conflict->same_bytes || !same)) continue;
      found = true;
      conflict->a = list_a[a->index];
      conflict->b = list_b[other->index];
      conflict->same_bytes = same;
    }
  }
  return found;
}

}  // namespace

void run_on(int core, const std::function<void()>& body) {
  SCALEFS_CHECK(core >= 0 && core < kCoresMax);
  if (core_threads[core] == nullptr) core_threads[core] = new CoreThread(core);
  core_threads[core]->run(body);
}

void start(int core) { runtime::start(core); }
void stop() { runtime::stop(); }
void clear() { runtime::clear(); }

std::vector<Access> accesses(int core) {
  size_t count = 0;
  const Access* list = runtime::list(core, &count);
  return std::vector<Access>(list, list + count);
}

std::vector<Conflict> conflicts(int core_a, int core_b) {
  const std::vector<Touch> a = touches(core_a);
  const std::vector<Touch> b = touches(core_b);
  size_t count = 0;
  const Access* list_a = runtime::list(core_a, &count);
  const Access* list_b = runtime::list(core_b, &count);
  std::vector<Conflict> all;
  const Touch* at_a = a.data();
  const Touch* at_b = b.data();
  const Touch* const end_a = at_a + a.size();
  const Touch* const end_b = at_b + b.size();
  while (at_a != end_a && at_b != end_b) {
    if (at_a->line != at_b->line) {
      ++(at_a->line < at_b->line ? at_a : at_b);
      continue;
    }
    const uintptr_t line = at_a->line;
    const Touch* next_a = at_a;
    const Touch* next_b = at_b;
    while (next_a != end_a && next_a->line == line) ++next_a;
    while (next_b != end_b && next_b->line == line) ++next_b;
    Conflict conflict;
    conflict.line = line;
    if (best_pair(list_a, at_a, next_a, list_b, at_b, next_b, &conflict)) all.push_back(conflict);
    at_a = next_a;
    at_b = next_b;
  }
  return all;
}

}  // namespace scalefs::record
