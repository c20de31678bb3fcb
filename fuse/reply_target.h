// Where the reply to a request goes: to where the request came from, whichever thread answers it.
#pragma once

#include <cstdint>

namespace scalefs::fuse {

struct RingEntry;

// Neither an entry nor a channel: the connection's first descriptor.
struct ReplyTarget {
  RingEntry* entry = nullptr;  // of a ring (fuse/ring.h)
  int channel = -1;            // a descriptor of /dev/fuse (fuse/channels.h)
  uint64_t unique = 0;
};

// Of the request that this thread serves at the moment.
ReplyTarget current_reply_target();

// While it lives, this thread serves the request that came by `target`.
class ServedTarget {
 public:
  explicit ServedTarget(const ReplyTarget& target);
  ~ServedTarget();
  ServedTarget(const ServedTarget&) = delete;
  ServedTarget& operator=(const ServedTarget&) = delete;
};

// While it lives, what this thread sends is the reply to `target`, whichever request the thread serves.
class AnsweredTarget {
 public:
  explicit AnsweredTarget(const ReplyTarget& target);
  ~AnsweredTarget();
  AnsweredTarget(const AnsweredTarget&) = delete;
  AnsweredTarget& operator=(const AnsweredTarget&) = delete;

 private:
  const ReplyTarget* before_;
};
// That which this thread answers, or else serves.
ReplyTarget answered_target();

}  // namespace scalefs::fuse
