// A queue of objects, in about the order in which they came, that objects enter often and from any core,
// and leave seldom. Intrusive: entering allocates nothing and takes no lock (a stack a core), and an
// object that is in the queue already finds that by one load.
#pragma once

#include "base/core.h"
#include "base/mutex.h"

namespace scalefs::memfs {

struct Mnode;

struct ListLink {
  Atomic<bool> listed{false};
  Mnode* owner = nullptr;  // set when it enters
  // The stacks' chain, then the queue's ring.
  ListLink* next = nullptr;
  ListLink* prev = nullptr;
};

class LinkQueue {
 public:
  LinkQueue() { ring_.next = ring_.prev = &ring_; }
  LinkQueue(const LinkQueue&) = delete;
  LinkQueue& operator=(const LinkQueue&) = delete;

  // The owner stays in memory until remove(). seq_cst: a caller first makes its object worth listing
  // and then calls this, a visitor first unlists and then looks whether the object is worth it.
  void add(ListLink& link, Mnode& owner) {
    if (link.listed.load(seq_cst) || link.listed.exchange(true, seq_cst)) return;
    push(link, owner);
  }
  // Takes it out, if it is in. Nobody adds it at the same time.
  void remove(ListLink& link);

  // Calls visit(owner, link) for each in the queue, oldest first, until that says `stop`. rotate: it
  // goes to the end. drop: it leaves; when still_needed(owner) answers true then, it enters again.
  enum class Verdict : uint8_t { stop, rotate, drop };
  template <class Visit, class StillNeeded>
  void visit(Visit visit, StillNeeded still_needed) {
    MutexLock lock(mutex_);
    collect();
    ListLink* const last = ring_.prev;
    if (last == &ring_) return;
    for (bool more = true; more;) {
      ListLink& link = *ring_.next;
      more = &link != last;
      Mnode& owner = *link.owner;  // once unlisted, the link is of whoever adds it
      const Verdict verdict = visit(owner);
      if (verdict == Verdict::stop) return;
      unlink(link);
      if (verdict == Verdict::rotate) {
        append(link);
        continue;
      }
      link.listed.store(false, seq_cst);
      if (still_needed(owner)) add(link, owner);
    }
  }

 private:
  void push(ListLink& link, Mnode& owner);
  void collect() REQUIRES(mutex_);
  void append(ListLink& link) REQUIRES(mutex_);
  static void unlink(ListLink& link);

  // Pushed by release, taken whole by acquire.
  PerCore<Atomic<ListLink*>> stacks_;
  Mutex mutex_;
  ListLink ring_ GUARDED_BY(mutex_);
};

}  // namespace scalefs::memfs
