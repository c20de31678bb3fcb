// Messages for the operator: standard error in the foreground, syslog in the background. Cold paths
// only. Rate limited a call site (10 in 10 s; what was dropped is counted in the next message).
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

namespace scalefs {

enum class LogLevel { error, warning, info, debug };

void log_message(LogLevel level, const std::string& text);
void set_log_level(LogLevel level);
// From now on to syslog under `ident` instead of standard error.
void log_to_syslog(const char* ident);

template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace scalefs
