// Messages for the operator: standard error in the foreground (with priorities if that is systemd's journal), syslog in the
// background. Cold paths
// only. Rate limited a call site (10 in 10 s; what was dropped is counted in the next message).
#pragma once

#include <fmt/core.h>

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

void log_message(LogLevel level, const std::string& text, LogSite site = {});
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
void log_error(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_message(LogLevel::error, fmt::format(text.format, std::forward<Args>(args)...), text.site);
}
template <class... Args>
void log_warning(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_message(LogLevel::warning, fmt::format(text.format, std::forward<Args>(args)...), text.site);
}
template <class... Args>
void log_info(LogFormat<std::type_identity_t<Args>...> text, Args&&... args) {
  log_message(LogLevel::info, fmt::format(text.format, std::forward<Args>(args)...), text.site);
}

}  // namespace scalefs
