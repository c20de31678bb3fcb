// Tells a thread's owner that it is about to wait: for a condition, or for a device. Who serves something with one
// thread hands it to another one then (fuse/ring.h), so that a call that waits holds up only itself.
//
// The hook belongs to the thread that it is set for, and is called by it, possibly with locks held: what it locks are
// leaves. Waiting for a Mutex, a SpinBit or a SleepBit does not count: those are held for short.
#pragma once

namespace scalefs {

class BlockingHook {
 public:
  virtual void about_to_block() = 0;

 protected:
  ~BlockingHook() = default;
};

// Null: nobody is told.
extern constinit thread_local BlockingHook* blocking_hook;

inline void about_to_block() {
  if (blocking_hook != nullptr) blocking_hook->about_to_block();
}

}  // namespace scalefs
