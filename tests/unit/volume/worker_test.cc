#include "volume/worker.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "base/atomic.h"

namespace scalefs::volume {
namespace {

int niceness() { return getpriority(PRIO_PROCESS, 0); }

TEST(Worker, IsAsMuchNicerThanItsMakerAsItWasTold) {
  const int before = niceness();
  for (const int more : {0, 5}) {
    Atomic<int> seen{-100};
    Worker worker;
    worker.start(
        [&](bool) {
          seen.store(niceness(), release);  // pairs with the look below
          return uint64_t{1000};
        },
        more);
    while (seen.load(acquire) == -100) std::this_thread::yield();
    worker.stop();
    EXPECT_EQ(seen.load(relaxed), std::min(before + more, 19));
  }
  EXPECT_EQ(niceness(), before);
}

}  // namespace
}  // namespace scalefs::volume
