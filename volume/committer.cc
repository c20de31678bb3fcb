#include "volume/committer.h"

#include <algorithm>

#include "base/clock.h"

namespace scalefs::volume {

namespace {

// Fewer than so many waiters are not worth the wait for more.
constexpr uint64_t kGatherGroupMin = 8;

}  // namespace

Committer::Committer(CommitWork& work, bool threaded, uint64_t gather_ms)
    : work_(work), threaded_(threaded), gather_ms_(gather_ms) {}

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
      if (threaded_) work_wanted_.notify_one();
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
      work_wanted_.notify_one();
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

void Committer::gather() {
  const uint64_t group = std::max(last_group_, group_before_);
  if (gather_ms_ == 0 || group < kGatherGroupMin) return;
  const uint64_t deadline = monotonic_ms() + gather_ms_;
  while (!stopped_ && waiting_ < group && monotonic_ms() <= deadline) {
    if (!work_wanted_.wait_for(mutex_, gather_ms_)) break;
  }
}

void Committer::lead() {
  leading_ = true;
  requested_ = false;
  const Ticket cut = ++begun_;
  group_before_ = last_group_;
  last_group_ = waiting_;
  waiting_ = 0;
  mutex_.unlock();
  const Status status = work_.commit_cut();
  mutex_.lock();
  done_ = cut;
  if (!status.ok()) failed_from_ = std::min(failed_from_, cut);
  leading_ = false;
  covered_.notify_all();
  call_parked();
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
  for (auto& parked : calls) parked.done(parked.status);
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
