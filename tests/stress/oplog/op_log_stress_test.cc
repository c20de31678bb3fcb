// The operation log under real threads; meant for the thread sanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "oplog/op_log.h"

namespace scalefs::oplog {
namespace {

constexpr int kThreads = 4;
constexpr int kOperations = 4000;

struct Operation final : LogEntry {
  Operation(int t, int n) : thread(t), number(n) {}
  const int thread;
  const int number;
};

TEST(OpLogStress, CutsAreClosedAndLoseNothing) {
  set_core_count_for_test(2);  // fewer slots than threads
  OpLog log;
  Mutex object;
  Stamp object_last = 0;
  std::vector<std::pair<int, int>> history;
  Atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      set_thread_core(t % 2);
      for (int i = 0; i < kOperations; ++i) {
        auto entry = std::make_unique<Operation>(t, i);
        const bool shared = i % 4 == 0;
        if (shared) {
          MutexLock lock(object);
          OpLog::Slot slot(log);
          object_last = slot.stamp(object_last);
          history.emplace_back(t, i);
          slot.append(std::move(entry));
        } else {
          OpLog::Slot slot(log);
          (void)slot.stamp(0);
          slot.append(std::move(entry));
        }
      }
      running.fetch_sub(1, release);  // pairs with the load below
    });
  }
  std::vector<std::pair<int, int>> logged;
  std::vector<int> next(kThreads, 0);
  size_t count = 0;
  Stamp upto = 0;
  for (bool last = false;;) {
    last = running.load(acquire) == 0;
    const OpLog::Cut cut = log.cut();
    ASSERT_GE(cut.upto, upto);
    for (const auto& entry : cut.entries) {
      const auto& operation = static_cast<const Operation&>(*entry);
      ASSERT_GT(entry->stamp, upto);
      ASSERT_LE(entry->stamp, cut.upto);
      if (operation.number % 4 == 0) logged.emplace_back(operation.thread, operation.number);
      ++count;
    }
    upto = cut.upto;
    if (last) break;
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, size_t{kThreads} * kOperations);
  EXPECT_EQ(logged, history);
  EXPECT_EQ(log.depth(), 0u);
}

}  // namespace
}  // namespace scalefs::oplog
