// Messages for the operator: standard error in the foreground (with priorities if that is systemd's journal), syslog in the
// background. Cold paths
// only. Rate limited a call site (10 in 10 s; what was dropped is counted in the next message).
#pragma once

#include <fmt/core.h>

#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace scalefs {

enum class LogLevel { error, warning, info, debug };

// Where a message comes from; what the rate limit counts by. `file` is a literal.
struct LogSite {
  const char* file = __builtin_FILE();
  int line = __builtin_LINE();
};

// Neither this nor the functions below throw: where there is no memory, a message that says so is all that is left of theirs.
void log_message(LogLevel level, const std::string& text, LogSite site = {}) noexcept;
void log_no_memory() noexcept;
// Messages above `level` are dropped (the start: info).
void set_log_level(LogLevel level);
// From now on to syslog under `ident` instead of standard error. `ident` is copied.
void log_to_syslog(const char* ident);

// A format string, checked at compile time, that remembers its call site.
template <class... Args>
struct LogFormat {
  template <class Text>
  consteval LogFormat(const Text& text, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE())
      : format(text), site{file, line} {}
  fmt::format_string<Args...> format;
  LogSite site;
};

template <class... Args>
void log_formatted(LogLevel level, const LogFormat<std::type_identity_t<Args>...>& text, Args&&... args) noexcept {
  try {
    log_message(level, fmt::format(text.format, std::forward<Args>(args)...), text.site);
  } catch (const std::bad_alloc&) {
    log_no_memory();
  }
}
template <class... Args>
void log_error(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_formatted<Args...>(LogLevel::error, text, std::forward<Args>(args)...);
}
template <class... Args>
void log_warning(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_formatted<Args...>(LogLevel::warning, text, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_formatted<Args...>(LogLevel::info, text, std::forward<Args>(args)...);
}

}  // namespace scalefs
