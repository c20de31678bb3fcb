#include "base/wake_batch.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <memory>
#include <vector>

namespace scalefs {
namespace {

class FakeTarget final : public WakeTarget {
 public:
  FakeTarget(std::vector<FakeTarget*>& woken, std::optional<unsigned> processor)
      : woken_(woken), processor_(processor) {}
  void wake_now() override { woken_.push_back(this); }
  std::optional<unsigned> processor() const override { return processor_; }

 private:
  std::vector<FakeTarget*>& woken_;
  std::optional<unsigned> processor_;
};

// Keeps the thread where it is.
class Pinned {
 public:
  Pinned() {
    sched_getaffinity(0, sizeof(before_), &before_);
    here_ = static_cast<unsigned>(sched_getcpu());
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(here_, &one);
    sched_setaffinity(0, sizeof(one), &one);
  }
  ~Pinned() { sched_setaffinity(0, sizeof(before_), &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  unsigned here() const { return here_; }

 private:
  cpu_set_t before_;
  unsigned here_ = 0;
};

TEST(WakeBatch, WithoutOneAWakingIsNow) {
  std::vector<FakeTarget*> woken;
  FakeTarget target(woken, std::nullopt);
  WakeBatch::wake(target);
  EXPECT_EQ(woken, std::vector<FakeTarget*>{&target});
}

TEST(WakeBatch, EachIsWokenOnceAtTheEndOtherProcessorsFirst) {
  const Pinned pinned;
  std::vector<FakeTarget*> woken;
  FakeTarget here(woken, pinned.here()), anywhere(woken, std::nullopt), there(woken, pinned.here() + 1);
  {
    const WakeBatch batch;
    for (int i = 0; i < 3; ++i) {
      WakeBatch::wake(here);
      WakeBatch::wake(anywhere);
      WakeBatch::wake(there);
    }
    EXPECT_TRUE(woken.empty());
  }
  ASSERT_EQ(woken.size(), 3u);
  EXPECT_EQ(woken.front(), &there);
  WakeBatch::wake(here);
  EXPECT_EQ(woken.size(), 4u) << "the batch has ended";
}

TEST(WakeBatch, WhoDoesNotFitIsWokenAtOnce) {
  std::vector<FakeTarget*> woken;
  std::vector<std::unique_ptr<FakeTarget>> targets;
  {
    const WakeBatch batch;
    for (unsigned i = 0; i < 1000; ++i) {
      targets.push_back(std::make_unique<FakeTarget>(woken, i));
      WakeBatch::wake(*targets.back());
    }
    EXPECT_GT(woken.size(), 0u);
    EXPECT_LT(woken.size(), 1000u);
  }
  EXPECT_EQ(woken.size(), 1000u);
}

}  // namespace
}  // namespace scalefs
