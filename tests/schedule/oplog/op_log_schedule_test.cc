// The operation log under seeded interleavings, every core's clock skewed at random. Threads do operations
// on objects that locks protect; one thread cuts all the while. What is checked holds on any clock: cuts
// are closed (I3), an object's operations are logged in the order in which they happened (I2), nothing is
// lost or doubled, and what was complete when a cut began is in it. The faults are those that the
// check has to find.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/schedule.h"
#include "oplog/op_log.h"
#include "tests/support/seeds.h"
#include "tests/support/skewed_cores.h"

namespace scalefs::oplog {
namespace {

constexpr int kThreads = 3;
constexpr int kObjects = 3;
constexpr int kOperations = 5;  // a thread
constexpr int kCuts = 4;

enum class Fault {
  none,
  stamp_after_publishing,  // the effect can be seen, through the lock, before it has its stamp
  objects_forget_stamps,   // a stamp from the clock alone
  cut_skips_a_slot         // one slot's entries come with the next cut
};

struct Operation final : LogEntry {
  explicit Operation(int i) : id(i) {}
  const int id;
};

struct Object {
  Mutex lock;
  Stamp last = 0;
  std::vector<int> history;  // operations in the order of their effects
};

class World {
 public:
  World(Fault fault, uint64_t seed) : fault_(fault), seed_(seed) {}

  // Empty when all is well.
  std::string run() {
    std::vector<std::function<void()>> bodies;
    for (int i = 0; i < kThreads; ++i) bodies.emplace_back([this, i] { work(i); });
    bodies.emplace_back([this] {
      for (int i = 0; i < kCuts; ++i) cut();
    });
    schedule::run({.seed = seed_}, bodies);
    cut();
    if (fault_ == Fault::cut_skips_a_slot) cut();
    check();
    return wrong_;
  }

 private:
  void work(int thread) {
    for (int i = 0; i < kOperations; ++i) {
      const int id = thread * kOperations + i;
      const auto first = static_cast<int>(schedule::choose(kObjects));
      const bool two = schedule::choose(2) == 0 && first + 1 < kObjects;
      operate(id, objects_[first], two ? &objects_[first + 1] : nullptr);
      complete_.push_back(id);
    }
  }

  void operate(int id, Object& a, Object* b) NO_THREAD_SAFETY_ANALYSIS {
    auto entry = std::make_unique<Operation>(id);
    a.lock.lock();
    if (b != nullptr) b->lock.lock();
    Stamp last = std::max(a.last, b != nullptr ? b->last : 0);
    if (fault_ == Fault::objects_forget_stamps) last = 0;
    const auto publish = [&] {
      a.history.push_back(id);
      if (b != nullptr) b->history.push_back(id);
    };
    const auto unlock = [&]() NO_THREAD_SAFETY_ANALYSIS {
      if (b != nullptr) b->lock.unlock();
      a.lock.unlock();
    };
    if (fault_ == Fault::stamp_after_publishing) {
      publish();
      unlock();
    }
    {
      OpLog::Slot slot(log_);
      const Stamp stamp = slot.stamp(last);
      a.last = std::max(a.last, stamp);
      if (b != nullptr) b->last = std::max(b->last, stamp);
      if (fault_ != Fault::stamp_after_publishing) publish();
      slot.append(std::move(entry));
    }
    if (fault_ != Fault::stamp_after_publishing) unlock();
  }

  void cut() {
    std::vector<int> due = complete_;
    OpLog::Cut made = log_.cut();
    std::vector<std::unique_ptr<LogEntry>> entries = std::move(held_back_);
    held_back_.clear();
    for (auto& entry : made.entries) {
      const bool hold = fault_ == Fault::cut_skips_a_slot && entry->slot == 1 && cuts_ % 2 == 0;
      (hold ? held_back_ : entries).push_back(std::move(entry));
    }
    ++cuts_;
    for (const auto& entry : entries) {
      const int id = static_cast<Operation&>(*entry).id;
      if (entry->stamp > made.upto) say("an entry above the cut", id);
      if (entry->stamp <= upto_) say("an entry at or below an earlier cut", id);
      if (!places_.emplace(id, places_.size()).second) say("doubled", id);
    }
    for (size_t i = 1; i < entries.size(); ++i) {
      const auto key = [](const LogEntry& e) { return std::tuple(e.stamp, e.slot, e.sequence); };
      if (!(key(*entries[i - 1]) < key(*entries[i])))
        say("out of order", static_cast<Operation&>(*entries[i]).id);
    }
    for (const int id : due)
      if (!places_.contains(id)) say("complete before the cut and not in it", id);
    if (made.upto < upto_) say("a cut goes back", 0);
    upto_ = made.upto;
  }

  void check() {
    for (int id = 0; id < kThreads * kOperations; ++id)
      if (!places_.contains(id)) say("lost", id);
    for (const Object& object : objects_)
      for (size_t i = 1; i < object.history.size(); ++i)
        if (places_[object.history[i - 1]] >= places_[object.history[i]])
          say("logged before what it came after", object.history[i]);
    if (log_.depth() != 0) say("depth left", 0);
  }

  void say(const char* what, int id) {
    if (wrong_.empty())
      wrong_ = "seed " + std::to_string(seed_) + ": operation " + std::to_string(id) + ": " + what;
  }

  const Fault fault_;
  const uint64_t seed_;
  const testing::SkewedCores cores_{kThreads, seed_};  // before the log
  OpLog log_;
  Object objects_[kObjects];
  // Only touched between scheduling points: one thread runs at a time.
  std::vector<int> complete_;
  std::vector<std::unique_ptr<LogEntry>> held_back_;
  std::map<int, size_t> places_;
  Stamp upto_ = 0;
  int cuts_ = 0;
  std::string wrong_;
};

class OpLogSchedule : public ::testing::Test {
 protected:
  // The first thing wrong in any of the seeds.
  static std::string first_wrong(Fault fault, uint64_t seeds) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      std::string wrong = World(fault, seed).run();
      if (!wrong.empty()) return wrong;
    }
    return {};
  }
};

TEST_F(OpLogSchedule, EveryInterleavingKeepsTheOrder) {
  uint64_t given = 0;
  if (testing::seed_given(&given)) {
    EXPECT_EQ(World(Fault::none, given).run(), "");
    return;
  }
  EXPECT_EQ(first_wrong(Fault::none, testing::count_from("SCALEFS_SEEDS", 400)), "");
}

TEST_F(OpLogSchedule, ARunIsAFunctionOfItsSeed) {
  for (uint64_t seed = 1; seed <= 5; ++seed)
    EXPECT_EQ(World(Fault::stamp_after_publishing, seed).run(),
              World(Fault::stamp_after_publishing, seed).run());
}

TEST_F(OpLogSchedule, FindsAStampTakenAfterPublishing) {
  EXPECT_NE(first_wrong(Fault::stamp_after_publishing, 200), "");
}

TEST_F(OpLogSchedule, FindsObjectsThatForgetTheirStamps) {
  EXPECT_NE(first_wrong(Fault::objects_forget_stamps, 200), "");
}

TEST_F(OpLogSchedule, FindsACutThatSkipsASlot) {
  EXPECT_NE(first_wrong(Fault::cut_skips_a_slot, 200), "");
}

}  // namespace
}  // namespace scalefs::oplog
