#include "volume/committer.h"

#include <algorithm>

#include "base/clock.h"
#include "base/wake_batch.h"

namespace scalefs::volume {

namespace {

// Fewer than so many waiters are not worth the wait for more.
constexpr uint64_t kGatherGroupMin = 8;

}  // namespace

Committer::Committer(CommitWork& work, bool threaded, uint64_t gather_us)
    : work_(work), threaded_(threaded), gather_us_(gather_us) {}

Committer::Ticket Committer::ticket() {
  MutexLock lock(mutex_);
  // Under the mutex no cut can begin: what was logged before the call is in the logs or was taken by
  // a cut that is done.
  if (failed_from_ == UINT64_MAX && !stopped_ && begun_ == done_ && work_.nothing_logged()) return 0;
  return begun_ + 1;
}

Committer::Ticket Committer::ticket_of_next_cut() {
  MutexLock lock(mutex_);
  return begun_ + 1;
}

bool Committer::settled(Ticket ticket) const {
  return done_ >= ticket || failed_from_ != UINT64_MAX || stopped_;
}

Status Committer::answer(Ticket ticket) const {
  if (done_ >= ticket && ticket < failed_from_) return {};
  return Errno(EIO);
}

Status Committer::wait(Ticket ticket) {
  if (ticket == 0) return {};
  MutexLock lock(mutex_);
  awaited_ = std::max(awaited_, ticket);
  if (ticket > begun_) ++waiting_;
  while (!settled(ticket)) {
    if (!threaded_ && !leading_) {
      lead();
    } else {
      if (threaded_) call_leader();
      covered_.wait(mutex_);
    }
  }
  return answer(ticket);
}

void Committer::park(Ticket ticket, Done done) {
  {
    MutexLock lock(mutex_);
    if (ticket != 0 && !settled(ticket)) {
      awaited_ = std::max(awaited_, ticket);
      parked_.push_back({ticket, {}, {}});
      parked_.back().done = std::move(done);
      if (ticket > begun_) ++waiting_;
      call_leader();
      while (!threaded_ && !settled(ticket)) {
        if (leading_) {
          covered_.wait(mutex_);
        } else {
          lead();
        }
      }
      return;
    }
  }
  Status status;
  if (ticket != 0) {
    MutexLock lock(mutex_);
    status = answer(ticket);
  }
  done(status);
}

void Committer::request() {
  MutexLock lock(mutex_);
  requested_ = true;
  work_wanted_.notify_one();
}

void Committer::call_leader() {
  if (waiting_ >= group_awaited_) work_wanted_.notify_one();
}

void Committer::gather() {
  const uint64_t group = std::max(last_group_, group_before_);
  if (gather_us_ == 0 || group < kGatherGroupMin) return;
  const uint64_t pause_us = std::min(cut_us_ / 2, gather_us_);
  const uint64_t until_us = monotonic_us() + gather_us_;
  group_awaited_ = group;
  for (uint64_t before = 0; !stopped_ && waiting_ < group && waiting_ != before && monotonic_us() < until_us;) {
    before = waiting_;
    (void)work_wanted_.wait_for_us(mutex_, pause_us);
  }
  group_awaited_ = 0;
}

void Committer::lead() {
  leading_ = true;
  requested_ = false;
  const Ticket cut = ++begun_;
  group_before_ = last_group_;
  last_group_ = waiting_;
  waiting_ = 0;
  mutex_.unlock();
  const uint64_t began_us = monotonic_us();
  const Status status = work_.commit_cut();
  const uint64_t took_us = monotonic_us() - began_us;
  mutex_.lock();
  cut_us_ = took_us;
  done_ = cut;
  if (!status.ok()) failed_from_ = std::min(failed_from_, cut);
  leading_ = false;
  covered_.notify_all();
  call_parked();
  mutex_.unlock();
  work_.clean_up();
  mutex_.lock();
}

void Committer::call_parked() {
  std::list<Parked> calls;
  for (auto it = parked_.begin(); it != parked_.end();) {
    const auto parked = it++;
    if (!settled(parked->ticket)) continue;
    parked->status = answer(parked->ticket);
    calls.splice(calls.end(), parked_, parked);
  }
  if (calls.empty()) return;
  mutex_.unlock();
  {
    const WakeBatch batch;
    for (auto& parked : calls) parked.done(parked.status);
  }
  calls.clear();
  mutex_.lock();
}

bool Committer::step() {
  MutexLock lock(mutex_);
  while (leading_) covered_.wait(mutex_);
  if (stopped_ || failed_from_ != UINT64_MAX) return false;
  if (awaited_ <= done_ && work_.nothing_logged()) {
    requested_ = false;
    return false;
  }
  lead();
  return true;
}

void Committer::run() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (failed_from_ != UINT64_MAX || !wanted()) {
      requested_ = false;
      work_wanted_.wait(mutex_);
    } else if (leading_) {
      covered_.wait(mutex_);
    } else {
      gather();
      if (!stopped_) lead();
    }
  }
}

void Committer::stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  work_wanted_.notify_all();
  covered_.notify_all();
  while (leading_) covered_.wait(mutex_);
  call_parked();
}

uint64_t Committer::cuts() const {
  MutexLock lock(mutex_);
  return begun_;
}

}  // namespace scalefs::volume
