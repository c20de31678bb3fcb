// Epochs under seeded interleavings. Nodes are never really freed while a run goes on: their
// deleter poisons them, and a reader that meets poison has used memory after it was freed.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/atomic.h"
#include "base/epoch.h"
#include "base/schedule.h"

namespace scalefs {
namespace {

constexpr uint64_t kAlive = 0x600d;
constexpr uint64_t kPoison = 0xdead;

struct Node {
  Atomic<uint64_t> state{kAlive};
};

enum class Fault {
  none,
  reader_leaves_early,      // uses what it found after its guard has ended
  retired_before_unlinked,  // hands the node over while it can still be found
  one_period_early          // the epochs themselves free after one period instead of two
};

struct Outcome {
  bool used_after_free = false;
  size_t poisoned = 0;
  std::vector<int> trace;
};

class World {
 public:
  explicit World(Fault fault) : fault_(fault) { shared_.store(make(), relaxed); }

  Outcome run(uint64_t seed) {
    { EpochGuard guard; }  // the main thread's record is there in the first run, too
    epoch::drain();
    schedule::run({.seed = seed}, {[this] { write(0); }, [this] { write(1); }, [this] { read(2); },
                                   [this] { read(3); }});
    epoch::drain();
    for (const auto& node : nodes_) outcome_.poisoned += node->state.load(relaxed) == kPoison;
    return outcome_;
  }
  size_t nodes() const { return nodes_.size(); }

 private:
  // Runs within a body: one thread at a time, so plain containers are safe between points.
  Node* make() {
    nodes_.push_back(std::make_unique<Node>());
    return nodes_.back().get();
  }

  static void poison(void* node) { static_cast<Node*>(node)->state.store(kPoison, relaxed); }

  void write(int name) {
    for (int i = 0; i < 4; ++i) {
      outcome_.trace.push_back(name);
      if (fault_ == Fault::retired_before_unlinked) {
        Node* old = shared_.load(acquire);
        Node* fresh = make();
        epoch::retire(old, poison);
        for (int step = 0; step < 3; ++step) epoch::try_advance();
        if (!shared_.compare_exchange(old, fresh, acq_rel, relaxed)) return;
      } else {
        Node* old = shared_.exchange(make(), acq_rel);  // pairs with the acquire in read
        epoch::retire(old, poison);
      }
      epoch::try_advance();
    }
  }

  void look(const Node* node, int name) {
    for (int i = 0; i < 3; ++i) {
      if (node->state.load(relaxed) != kAlive) outcome_.used_after_free = true;
      outcome_.trace.push_back(name);
    }
  }

  void read(int name) {
    for (int i = 0; i < 4; ++i) {
      const Node* found;
      {
        EpochGuard guard;
        found = shared_.load(acquire);  // pairs with the exchange in write
        if (fault_ != Fault::reader_leaves_early) look(found, name);
      }
      if (fault_ == Fault::reader_leaves_early) look(found, name);
    }
  }

  Fault fault_;
  Atomic<Node*> shared_{nullptr};
  std::vector<std::unique_ptr<Node>> nodes_;
  Outcome outcome_;
};

constexpr uint64_t kSeeds = 300;

uint64_t runs_with_use_after_free(Fault fault) {
  uint64_t found = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) found += World(fault).run(seed).used_after_free;
  return found;
}

TEST(EpochSchedule, NoReaderSeesAFreedNodeAndAllAreFreed) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    World world(Fault::none);
    const Outcome outcome = world.run(seed);
    ASSERT_FALSE(outcome.used_after_free) << "seed " << seed;
    ASSERT_EQ(outcome.poisoned, world.nodes() - 1) << "seed " << seed;  // one is still linked
    ASSERT_EQ(epoch::pending(), 0u) << "seed " << seed;
  }
}

TEST(EpochSchedule, SameSeedSameTrace) {
  for (uint64_t seed : {1, 2, 3, 99}) {
    const Outcome first = World(Fault::none).run(seed);
    EXPECT_EQ(World(Fault::none).run(seed).trace, first.trace) << "seed " << seed;
  }
}

TEST(EpochSchedule, CanaryReaderThatLeavesEarlyIsFound) {
  EXPECT_GT(runs_with_use_after_free(Fault::reader_leaves_early), 0u);
}

TEST(EpochSchedule, CanaryFreeingOnePeriodTooEarlyIsFound) {
  epoch::one_period_canary = true;
  const uint64_t found = runs_with_use_after_free(Fault::one_period_early);
  epoch::one_period_canary = false;
  EXPECT_GT(found, 0u);
}

TEST(EpochSchedule, CanaryRetiringBeforeUnlinkingIsFound) {
  EXPECT_GT(runs_with_use_after_free(Fault::retired_before_unlinked), 0u);
}

}  // namespace
}  // namespace scalefs
