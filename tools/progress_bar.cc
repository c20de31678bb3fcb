#include "tools/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace scalefs::tools {

namespace {
constexpr int kBarWidth = 30;
}  // namespace

ProgressBar::ProgressBar(int fd, std::string path, Clock now_ms)
    : fd_(fd), path_(std::move(path)), now_ms_(now_ms) {
  if (fd_ == STDIN_FILENO) fd_ = isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : -1;
  terminal_ = fd_ >= 0 && isatty(fd_) != 0;
}

void ProgressBar::write_text(const std::string& text) {
  // Who reads it is gone: the job goes on.
  if (write(fd_, text.data(), text.size()) < 0) fd_ = -1;
}

void ProgressBar::begin(int pass, std::string what) {
  end();
  pass_ = pass;
  what_ = std::move(what);
  percent_ = -1;
  began_ms_ = now_ms_();
}

void ProgressBar::update(uint64_t done, uint64_t total) {
  if (fd_ < 0 || total == 0) return;
  done = std::min(done, total);
  const int percent = static_cast<int>(done * 100 / total);
  if (percent == percent_) return;
  percent_ = percent;
  if (!terminal_) {
    write_text(fmt::format("{} {} {} {}\n", pass_, done, total, path_));
    return;
  }
  const int full = percent * kBarWidth / 100;
  std::string line = fmt::format("\r{}: {} |{:=<{}}{: <{}}| {:3}%", path_, what_, "", full, "",
                                 kBarWidth - full, percent);
  const uint64_t spent = now_ms_() - began_ms_;
  if (percent > 0 && spent >= 1000) {
    line += fmt::format(", {} s left", spent * static_cast<uint64_t>(100 - percent) /
                                           static_cast<uint64_t>(percent) / 1000);
  }
  const size_t length = line.size() - 1;
  if (length < shown_) line.append(shown_ - length, ' ');
  shown_ = std::max(shown_, length);
  write_text(line);
}

void ProgressBar::end() {
  if (terminal_ && shown_ > 0 && fd_ >= 0) write_text("\r" + std::string(shown_, ' ') + "\r");
  shown_ = 0;
}

}  // namespace scalefs::tools
