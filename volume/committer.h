// Group commit (P5): who waits for what, and who does it. The work itself, one cut made durable, is a
// CommitWork; this class runs it for one leader at a time and answers everyone whom it covered.
//
// Tickets. Cuts are numbered 1, 2, ... in the order in which they begin. A ticket is the number of the
// next cut to begin, taken when the call arrives: whatever the caller had logged before is in it or in
// an earlier one (I3). A cut that has begun when the ticket is taken never covers it, even if it has
// not reached the logs yet. Ticket 0 is covered: nothing was logged and nothing was under way.
//
// Leading. With a thread of its own (run()) that thread leads; without one whoever waits leads, unless
// somebody does already. While a leader works the next group gathers; it begins when the leader is
// done, has answered and has cleaned up behind itself, and someone waits. A leader's own thread waits for as many as the last groups had, as long as they
// keep coming: once nobody has come for half the time that a cut takes, it goes without the others.
//
// Failure is sticky (I11): the cut that failed and all after it answer EIO, to those who wait and to
// those who come; those covered by an earlier cut are told ok even if they wake up later.
//
// Locks: one mutex around the counters, not held while the work runs or while callbacks are called. Those of one cut are called
// in one WakeBatch, so that none waits for what another one wakes.
#pragma once

#include <functional>
#include <list>
#include <utility>

#include "base/mutex.h"
#include "base/result.h"

namespace scalefs::volume {

class CommitWork {
 public:
  virtual ~CommitWork() = default;
  // Cuts the logs and makes what they held durable. One caller at a time. Throws nothing.
  virtual Status commit_cut() = 0;
  // Frees what earlier cuts took out of the logs, and makes ready what the next one needs. Called without the
  // committer's mutex when those who waited for a cut have been answered, so that none but the leader waits for it; the
  // next cut may be under way, and stop() may have returned. Throws nothing.
  virtual void clean_up() = 0;
  // Nothing is logged that a cut would take. Called under the committer's mutex: cheap, no locks.
  virtual bool nothing_logged() = 0;
};

class Committer {
 public:
  using Ticket = uint64_t;
  using Done = std::function<void(Status)>;

  // `threaded`: some thread calls run(). `gather_us`: how long at the most a leader with a thread of its own
  // waits for company when the last groups were larger than the one that waits now; 0 for never.
  Committer(CommitWork& work, bool threaded, uint64_t gather_us);

  Ticket ticket();
  // The next cut even if nothing seems to be logged.
  Ticket ticket_of_next_cut();
  Status wait(Ticket ticket);
  // `done` is called once: from here when the ticket is covered or the volume has failed, else by who
  // leads. Without a thread this call leads. Throws std::bad_alloc before it has taken `done`.
  void park(Ticket ticket, Done done);
  // Asks for a commit that nobody waits for.
  void request();

  // One commit, unless nothing is logged and nobody waits. True when one ran.
  bool step();
  // The thread's loop, until stop().
  void run();
  // Ends waiting: EIO to all who are not covered. Returns when no leader is at work.
  void stop();

  uint64_t cuts() const;

 private:
  void lead() REQUIRES(mutex_);
  Status answer(Ticket ticket) const REQUIRES(mutex_);
  bool settled(Ticket ticket) const REQUIRES(mutex_);
  bool wanted() const REQUIRES(mutex_) { return requested_ || awaited_ > done_; }
  void gather() REQUIRES(mutex_);
  void call_leader() REQUIRES(mutex_);
  void call_parked() REQUIRES(mutex_);

  CommitWork& work_;
  const bool threaded_;
  const uint64_t gather_us_;
  mutable Mutex mutex_;
  CondVar covered_;  // a cut is done, or the committer has stopped
  CondVar work_wanted_;
  Ticket begun_ GUARDED_BY(mutex_) = 0;
  Ticket done_ GUARDED_BY(mutex_) = 0;
  Ticket awaited_ GUARDED_BY(mutex_) = 0;  // largest ticket that someone waits for
  Ticket failed_from_ GUARDED_BY(mutex_) = UINT64_MAX;
  bool leading_ GUARDED_BY(mutex_) = false;
  bool requested_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  uint64_t waiting_ GUARDED_BY(mutex_) = 0;     // for the next cut
  uint64_t last_group_ GUARDED_BY(mutex_) = 0;  // how many the last two cuts answered
  uint64_t group_before_ GUARDED_BY(mutex_) = 0;
  uint64_t group_awaited_ GUARDED_BY(mutex_) = 0;  // while the leader gathers
  uint64_t cut_us_ GUARDED_BY(mutex_) = 0;         // how long the last cut took
  struct Parked {
    Ticket ticket;
    Done done;
    Status status;
  };
  std::list<Parked> parked_ GUARDED_BY(mutex_);  // so that calling them takes no memory
};

}  // namespace scalefs::volume
