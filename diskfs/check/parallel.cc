#include "diskfs/check/parallel.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "base/mutex.h"

namespace scalefs::diskfs {

size_t worker_count(size_t asked) {
  return asked != 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
}

void share_work(size_t workers, size_t items,
                const std::function<void(size_t worker, size_t item)>& work) {
  workers = std::max<size_t>(1, std::min(workers, items));
  Atomic<size_t> next{0};
  Mutex failed_mutex;
  std::exception_ptr failed;
  const auto run = [&](size_t worker) {
    try {
      // Only counts: what the items are was there before the threads.
      for (size_t item; (item = next.fetch_add(1, relaxed)) < items;) work(worker, item);
    } catch (...) {
      next.store(items, relaxed);
      MutexLock lock(failed_mutex);
      if (!failed) failed = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(workers - 1);
  try {
    while (threads.size() + 1 < workers) threads.emplace_back(run, threads.size() + 1);
  } catch (const std::system_error&) {
  }
  run(0);
  for (std::thread& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace scalefs::diskfs
