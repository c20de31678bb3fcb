#include "volume/committer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace scalefs::volume {
namespace {

// Counts cuts; a test can hold one back and make one fail.
class FakeWork : public CommitWork {
 public:
  Status commit_cut() override {
    MutexLock lock(mutex_);
    ++cuts_;
    logged_ = 0;
    entered_.notify_all();
    while (held_) released_.wait(mutex_);
    if (cuts_ == fail_at_) return Errno(EIO);
    return {};
  }
  void clean_up() override {
    MutexLock lock(mutex_);
    ++cleaned_;
    entered_.notify_all();
    while (cleaning_held_) released_.wait(mutex_);
  }
  bool nothing_logged() override {
    MutexLock lock(mutex_);
    return logged_ == 0;
  }
  void log() {
    MutexLock lock(mutex_);
    ++logged_;
  }
  void hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  void hold_cleaning() {
    MutexLock lock(mutex_);
    cleaning_held_ = true;
  }
  void wait_for_cleaning() {
    MutexLock lock(mutex_);
    while (cleaned_ == 0) entered_.wait(mutex_);
  }
  void release() {
    MutexLock lock(mutex_);
    held_ = cleaning_held_ = false;
    released_.notify_all();
  }
  void fail_at(uint64_t cut) {
    MutexLock lock(mutex_);
    fail_at_ = cut;
  }
  void wait_for_cut(uint64_t cut) {
    MutexLock lock(mutex_);
    while (cuts_ < cut) entered_.wait(mutex_);
  }
  uint64_t cuts() {
    MutexLock lock(mutex_);
    return cuts_;
  }

 private:
  Mutex mutex_;
  CondVar entered_, released_;
  uint64_t cuts_ = 0, logged_ = 0, fail_at_ = 0, cleaned_ = 0;
  bool held_ = false, cleaning_held_ = false;
};

TEST(Committer, NothingLoggedNeedsNoCommit) {
  FakeWork work;
  Committer committer(work, false, 0);
  EXPECT_EQ(committer.ticket(), 0u);
  EXPECT_TRUE(committer.wait(0).ok());
  EXPECT_FALSE(committer.step());
  EXPECT_EQ(work.cuts(), 0u);
}

TEST(Committer, WithoutAThreadTheWaiterLeads) {
  FakeWork work;
  Committer committer(work, false, 0);
  work.log();
  EXPECT_TRUE(committer.wait(committer.ticket()).ok());
  EXPECT_EQ(work.cuts(), 1u);
  bool called = false;
  work.log();
  committer.park(committer.ticket(), [&](Status status) { called = status.ok(); });
  EXPECT_TRUE(called);
  EXPECT_EQ(work.cuts(), 2u);
}

TEST(Committer, CutUnderWayDoesNotCoverWhoArrivesDuringIt) {
  FakeWork work;
  Committer committer(work, true, 0);
  std::thread thread([&] { committer.run(); });
  work.hold();
  work.log();
  std::thread first([&] { EXPECT_TRUE(committer.wait(committer.ticket()).ok()); });
  work.wait_for_cut(1);
  const Committer::Ticket late = committer.ticket();  // nothing is logged, but something is under way
  EXPECT_EQ(late, 2u);
  work.release();
  first.join();
  EXPECT_TRUE(committer.wait(late).ok());
  EXPECT_EQ(work.cuts(), 2u);
  committer.stop();
  thread.join();
}

TEST(Committer, OneCutAnswersAllWhoGatheredDuringTheOneBefore) {
  FakeWork work;
  Committer committer(work, true, 0);
  std::thread thread([&] { committer.run(); });
  work.hold();
  work.log();
  std::thread first([&] { (void)committer.wait(committer.ticket()); });
  work.wait_for_cut(1);
  Atomic<int> answered{0};
  for (int i = 0; i < 20; ++i) {
    work.log();
    committer.park(committer.ticket(), [&](Status status) { answered.fetch_add(status.ok() ? 1 : 0, relaxed); });
  }
  const Committer::Ticket ticket = committer.ticket();
  work.release();
  first.join();
  EXPECT_TRUE(committer.wait(ticket).ok());
  committer.stop();
  thread.join();
  EXPECT_EQ(answered.load(relaxed), 20);
  EXPECT_EQ(work.cuts(), 2u);
}

// A cut that takes some time and answers as many as make the next leader wait for company.
void commit_a_group(Committer& committer, FakeWork& work, uint64_t* cuts) {
  work.hold();
  work.log();
  committer.park(committer.ticket(), [](Status) {});
  work.wait_for_cut(++*cuts);
  Atomic<int> answered{0};
  for (int i = 0; i < 8; ++i) {
    work.log();
    committer.park(committer.ticket(), [&](Status) { answered.fetch_add(1, relaxed); });
  }
  const Committer::Ticket ticket = committer.ticket();
  work.release();
  EXPECT_TRUE(committer.wait(ticket).ok());
  ++*cuts;
  while (answered.load(relaxed) < 8) std::this_thread::yield();
}

constexpr uint64_t kHourUs = 3'600'000'000;

void rest(uint64_t ms) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  for (const uint64_t until = monotonic_ms() + ms; monotonic_ms() < until;) (void)never.wait_for(mutex, ms);
}

TEST(Committer, ALeaderGoesWithoutThoseWhoDoNotCome) {
  FakeWork work;
  Committer committer(work, true, kHourUs);
  std::thread thread([&] { committer.run(); });
  uint64_t cuts = 0;
  commit_a_group(committer, work, &cuts);
  work.log();
  EXPECT_TRUE(committer.wait(committer.ticket()).ok());  // and not in an hour
  committer.stop();
  thread.join();
}

TEST(Committer, ALeaderWaitsForThoseWhoAreOnTheWay) {
  // Who is on the way is a matter of time: it shows where this thread is not kept away for long.
  bool together = false;
  for (int tries = 0; tries < 20 && !together; ++tries) {
    FakeWork work;
    Committer committer(work, true, kHourUs);
    std::thread thread([&] { committer.run(); });
    uint64_t cuts = 0;
    commit_a_group(committer, work, &cuts);
    work.hold();
    for (int i = 0; i < 8; ++i) {
      work.log();
      committer.park(committer.ticket(), [](Status) {});
    }
    // This cut takes long, so that its end is waited for as long again.
    work.wait_for_cut(++cuts);
    rest(400);
    work.release();
    while (committer.ticket() != 0) std::this_thread::yield();
    const uint64_t before = work.cuts();
    Committer::Ticket ticket = 0;
    for (int i = 0; i < 8; ++i) {
      work.log();
      ticket = committer.ticket();
      committer.park(ticket, [](Status) {});
      if (i == 0) rest(20);
    }
    EXPECT_TRUE(committer.wait(ticket).ok());
    together = work.cuts() == before + 1;
    committer.stop();
    thread.join();
  }
  EXPECT_TRUE(together);
}

TEST(Committer, FailureIsStickyButNotForThoseCoveredBefore) {
  FakeWork work;
  Committer committer(work, false, 0);
  work.log();
  const Committer::Ticket good = committer.ticket();
  EXPECT_TRUE(committer.step());
  work.fail_at(2);
  work.log();
  EXPECT_EQ(committer.wait(committer.ticket()).code(), EIO);
  EXPECT_TRUE(committer.wait(good).ok());
  EXPECT_EQ(committer.wait(committer.ticket()).code(), EIO);
  EXPECT_FALSE(committer.step());
  int code = 0;
  committer.park(committer.ticket(), [&](Status status) { code = status.code(); });
  EXPECT_EQ(code, EIO);
  EXPECT_EQ(work.cuts(), 2u) << "committed after a failure";
}

TEST(Committer, StopAnswersWhoStillWaits) {
  FakeWork work;
  Committer committer(work, true, 0);  // whose thread has not come to lead yet
  work.log();
  int code = 0;
  committer.park(committer.ticket(), [&](Status status) { code = status.code(); });
  committer.stop();
  EXPECT_EQ(code, EIO);
  EXPECT_EQ(committer.wait(committer.ticket()).code(), EIO);
  EXPECT_EQ(work.cuts(), 0u);
}

TEST(Committer, WhoWaitsIsAnsweredBeforeTheCutsRecordsAreFreed) {
  FakeWork work;
  Committer committer(work, true, 0);
  std::thread thread([&] { committer.run(); });
  work.hold_cleaning();
  work.log();
  Atomic<bool> answered{false};
  committer.park(committer.ticket(), [&](Status status) { answered.store(status.ok(), relaxed); });
  work.wait_for_cleaning();
  EXPECT_TRUE(answered.load(relaxed));
  EXPECT_EQ(committer.ticket(), 0u) << "the cut is not done";
  work.release();
  committer.stop();
  thread.join();
}

TEST(Committer, ManyThreadsShareCuts) {
  FakeWork work;
  Committer committer(work, true, 0);
  std::thread leader([&] { committer.run(); });
  std::vector<std::thread> threads;
  Atomic<int> failures{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        work.log();
        if (!committer.wait(committer.ticket()).ok()) failures.fetch_add(1, relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  committer.stop();
  leader.join();
  EXPECT_EQ(failures.load(relaxed), 0);
  EXPECT_LE(work.cuts(), 401u);
}

}  // namespace
}  // namespace scalefs::volume
