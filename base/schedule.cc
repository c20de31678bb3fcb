#include "base/schedule.h"

#ifdef SCALEFS_SCHEDULE

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/core.h"
#include "base/random.h"

namespace scalefs::schedule {
namespace {

struct Worker {
  size_t index = 0;
  bool running = false;  // it is this worker's turn
  bool done = false;
  const void* blocked_on = nullptr;
  std::condition_variable turn;
};

// One run. Everything is protected by `mutex`; only the worker whose turn it is changes anything,
// except that a thread from outside may unblock().
struct Run {
  explicit Run(const Options& o) : options(o), random(o.seed) {}
  Options options;
  Random random;
  std::mutex mutex;
  std::vector<std::unique_ptr<Worker>> workers;
  uint64_t steps = 0;
  Worker* ended = nullptr;  // its body has ended and run() is to take its turn over
  std::condition_variable end;
};

thread_local Worker* self = nullptr;
// The run that is going on. Set before its threads start and cleared after they ended; a thread
// from outside may look at any time, hence the mutex.
std::mutex run_mutex;
Run* the_run = nullptr;
std::atomic<uint64_t> the_seed{0};

[[noreturn]] void give_up(const Run& run, const char* why) {
  std::fprintf(stderr, "scalefs: schedule: %s (seed %llu, switch_percent %d, step %llu)\n", why,
               static_cast<unsigned long long>(run.options.seed), run.options.switch_percent,
               static_cast<unsigned long long>(run.steps));
  for (const auto& worker : run.workers) {
    std::fprintf(stderr, "scalefs: schedule: thread %zu: %s %p\n", worker->index,
                 worker->done         ? "done"
                 : worker->blocked_on ? "blocked on"
                                      : "can run",
                 worker->blocked_on);
  }
  std::abort();
}

// A runnable worker other than `but`, by the seed; null when there is none.
Worker* pick(Run& run, const Worker* but) {
  size_t candidates = 0;
  for (const auto& worker : run.workers)
    if (worker.get() != but && !worker->done && !worker->blocked_on) ++candidates;
  if (candidates == 0) return nullptr;
  uint64_t chosen = run.random.below(candidates);
  for (const auto& worker : run.workers) {
    if (worker.get() == but || worker->done || worker->blocked_on) continue;
    if (chosen-- == 0) return worker.get();
  }
  return nullptr;
}

void start_turn(Worker* next) {
  next->running = true;
  next->turn.notify_one();
}

// Gives the turn to `next` and comes back when the caller has it again.
void hand_over(std::unique_lock<std::mutex>& lock, Worker* next) {
  self->running = false;
  start_turn(next);
  self->turn.wait(lock, [] { return self->running; });
}

void count_step(Run& run) {
  if (++run.steps > run.options.steps_max) give_up(run, "too many steps");
}

void worker_main(Run* run, Worker* worker, const std::function<void()>& body) {
  set_thread_core(static_cast<int32_t>(worker->index % core_count()));
  {
    std::unique_lock lock(run->mutex);
    worker->turn.wait(lock, [worker] { return worker->running; });
  }
  self = worker;
  body();
  std::lock_guard lock(run->mutex);
  self = nullptr;
  worker->done = true;
  worker->running = false;
  run->ended = worker;
  run->end.notify_one();
}

}  // namespace

void run(const Options& options, const std::vector<std::function<void()>>& bodies) {
  SCALEFS_CHECK(self == nullptr);
  Run the(options);
  for (size_t i = 0; i < bodies.size(); ++i) {
    the.workers.push_back(std::make_unique<Worker>());
    the.workers.back()->index = i;
  }
  {
    std::lock_guard lock(run_mutex);
    SCALEFS_CHECK(the_run == nullptr);
    the_run = &the;
    the_seed.store(options.seed, std::memory_order_relaxed);
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < bodies.size(); ++i)
    threads.emplace_back(worker_main, &the, the.workers[i].get(), std::cref(bodies[i]));
  // A thread that has ended is joined before the next turn begins, for the destructors of its
  // thread_locals run after its body and would disturb the others.
  for (size_t left = threads.size(); left > 0; --left) {
    std::unique_lock lock(the.mutex);
    Worker* next = pick(the, nullptr);
    if (next == nullptr) give_up(the, "deadlock");
    start_turn(next);
    the.end.wait(lock, [&the] { return the.ended != nullptr; });
    Worker* ended = std::exchange(the.ended, nullptr);
    lock.unlock();
    threads[ended->index].join();
  }
  std::lock_guard lock(run_mutex);
  the_run = nullptr;
  the_seed.store(0, std::memory_order_relaxed);
}

void point() {
  if (self == nullptr) return;
  Run& run = *the_run;
  std::unique_lock lock(run.mutex);
  count_step(run);
  if (run.random.below(100) >= static_cast<uint64_t>(run.options.switch_percent)) return;
  if (Worker* next = pick(run, self)) hand_over(lock, next);
}

void yield() {
  if (self == nullptr) {
    std::this_thread::yield();
    return;
  }
  Run& run = *the_run;
  std::unique_lock lock(run.mutex);
  count_step(run);
  if (Worker* next = pick(run, self)) hand_over(lock, next);
}

void block_on(const void* resource) {
  SCALEFS_CHECK(resource != nullptr);
  if (self == nullptr) {
    std::this_thread::yield();
    return;
  }
  Run& run = *the_run;
  std::unique_lock lock(run.mutex);
  count_step(run);
  self->blocked_on = resource;
  Worker* next = pick(run, self);
  if (next == nullptr) give_up(run, "deadlock");
  hand_over(lock, next);
}

void unblock(const void* resource) {
  if (self != nullptr) {
    std::lock_guard lock(the_run->mutex);
    for (const auto& worker : the_run->workers)
      if (worker->blocked_on == resource) worker->blocked_on = nullptr;
    return;
  }
  if (the_seed.load(std::memory_order_relaxed) == 0) return;
  std::lock_guard guard(run_mutex);
  if (the_run == nullptr) return;
  std::lock_guard lock(the_run->mutex);
  for (const auto& worker : the_run->workers)
    if (worker->blocked_on == resource) worker->blocked_on = nullptr;
}

bool active() { return self != nullptr; }

uint64_t choose(uint64_t bound) {
  SCALEFS_CHECK(self != nullptr);
  std::lock_guard lock(the_run->mutex);
  return the_run->random.below(bound);
}

uint64_t ticks() {
  SCALEFS_CHECK(self != nullptr);
  std::lock_guard lock(the_run->mutex);
  return the_run->steps / 4;
}

uint64_t running_seed() { return the_seed.load(std::memory_order_relaxed); }

}  // namespace scalefs::schedule

#endif  // SCALEFS_SCHEDULE
