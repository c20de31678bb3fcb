// How far a long job is, on a descriptor: on a terminal a line that is written over, with the time
// that is left; else, as fsck(8) wants it of `-C fd`, lines "pass done total path".
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace scalefs::tools {

class ProgressBar {
 public:
  using Clock = uint64_t (*)();
  // fd < 0: shows nothing. 0 stands for standard output, and only if that is a terminal. `now_ms`: another
  // clock, for tests.
  ProgressBar(int fd, std::string path, Clock now_ms = monotonic_ms);
  ~ProgressBar() { end(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void begin(int pass, std::string what);
  // Writes when the percentage has changed; done > total counts as total.
  void update(uint64_t done, uint64_t total);
  // Takes the line away.
  void end();

 private:
  void write_text(const std::string& text);

  int fd_;
  const std::string path_;
  const Clock now_ms_;
  bool terminal_ = false;
  int pass_ = 0;
  std::string what_;
  int percent_ = -1;
  uint64_t began_ms_ = 0;
  size_t shown_ = 0;  // characters on the line
};

}  // namespace scalefs::tools
