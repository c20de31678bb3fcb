// Epochs with real threads, for the thread and address sanitizers: readers follow pointers that
// writers swap and retire.
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "base/epoch.h"
#include "base/random.h"

namespace scalefs {
namespace {

constexpr uint64_t kAlive = 0x600d600d600d600d;
constexpr size_t kSlots = 8;
constexpr int kThreads = 4;
constexpr int kSteps = 20000;

// `check` is plain on purpose: a read that races with the free is what the sanitizers report.
struct Node {
  explicit Node(uint64_t n) : number(n), check(n ^ kAlive) {}
  ~Node() { check = 0; }
  uint64_t number;
  uint64_t check;
};

TEST(EpochStress, ReadersNeverMeetFreedNodes) {
  epoch::drain();
  std::array<Atomic<Node*>, kSlots> slots;
  for (size_t i = 0; i < kSlots; ++i) slots[i].store(new Node(i), relaxed);
  std::array<int, kThreads> bad{};
  auto work = [&](int thread) {
    Random random(static_cast<uint64_t>(thread) + 1);
    for (int i = 0; i < kSteps; ++i) {
      Atomic<Node*>& slot = slots[random.below(kSlots)];
      if (random.percent(30)) {
        Node* old = slot.exchange(new Node(random.next()), acq_rel);  // pairs with the load below
        epoch::retire(old);
      } else {
        EpochGuard outer;
        EpochGuard inner;
        const Node* node = slot.load(acquire);  // pairs with the exchange above
        bad[static_cast<size_t>(thread)] += (node->number ^ kAlive) != node->check;
      }
      if (random.percent(2)) epoch::try_advance();
    }
  };
  // Two generations of threads, so that records pass from one to the next.
  for (int generation = 0; generation < 2; ++generation) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
    for (auto& thread : threads) thread.join();
  }
  for (int count : bad) EXPECT_EQ(count, 0);
  for (auto& slot : slots) epoch::retire(slot.exchange(nullptr, acq_rel));
  epoch::drain();
  EXPECT_EQ(epoch::pending(), 0u);
}

TEST(EpochStress, DrainersAndRetirersTogether) {
  Atomic<int> deleted{0};
  struct Traced {
    Atomic<int>& counter;
    ~Traced() { counter.fetch_add(1, relaxed); }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        epoch::retire(new Traced{deleted});
        if (t % 2 == 0 && i % 50 == 0) epoch::drain();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  epoch::drain();
  EXPECT_EQ(deleted.load(relaxed), kThreads * 500);
}

}  // namespace
}  // namespace scalefs
