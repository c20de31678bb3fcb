// Where a tool talks: results to one stream, what goes wrong to another under the tool's name.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <utility>

#include "diskfs/file_device.h"

namespace scalefs::tools {

class Console {
 public:
  // The streams outlive the console; `program` is a literal.
  Console(const char* program, FILE* out, FILE* err) : program_(program), out_(out), err_(err) {}

  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    fmt::print(out_, format, std::forward<Args>(args)...);
  }
  // Tells it on the stream of errors and answers `code`, the exit status that follows from it.
  template <class... Args>
  int say(int code, fmt::format_string<Args...> format, Args&&... args) {
    fmt::print(err_, "{}: {}\n", program_, fmt::format(format, std::forward<Args>(args)...));
    return code;
  }
  // How a tool opens a device that another process may hold: it waits for so long, and says so.
  // The console and the path outlive the opening.
  diskfs::LockWait wait_for(const std::string& path, uint64_t wait_ms) {
    diskfs::LockWait wait;
    wait.wait_ms = wait_ms;
    wait.waiting = [this, &path, wait_ms](pid_t holder) {
      say(0, "{} is in use{}; waiting up to {} s", path,
          holder > 0 ? fmt::format(" by process {}", holder) : "", wait_ms / 1000);
    };
    return wait;
  }

 private:
  const char* program_;
  FILE* out_;
  FILE* err_;
};

}  // namespace scalefs::tools
