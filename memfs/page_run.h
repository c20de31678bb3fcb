// One EpochGuard for several pages of a read or a write, where the caller's bytes are the daemon's own (Buffer::own). The
// fence of a guard waits until the bytes of the page before are stored, which without it goes on beside the next copy. A
// caller's memory may fault (P6), so for others each page has its own guard, around the copy inside.
#pragma once

#include <optional>

#include "base/epoch.h"
#include "memfs/types.h"

namespace scalefs::memfs {

class PageRun {
 public:
  explicit PageRun(Buffer buffer) : own_(buffer == Buffer::own) {}

  // Before each page. No guard lasts longer than kPages of them.
  void next() {
    if (!own_ || (guard_ && pages_++ < kPages)) return;
    guard_.reset();
    guard_.emplace();
    pages_ = 1;
  }
  // Before what may wait.
  void let_go() { guard_.reset(); }

 private:
  static constexpr int kPages = 32;
  const bool own_;
  int pages_ = 0;
  std::optional<EpochGuard> guard_;
};

}  // namespace scalefs::memfs
