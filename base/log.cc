#include "base/log.h"

#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/mutex.h"

namespace scalefs {
namespace {

constexpr uint64_t kPeriodMs = 10'000;
constexpr uint32_t kMessagesAPeriod = 10;
constexpr size_t kSites = 256;  // two call sites that share an entry take turns in it

struct Site {
  const char* file = nullptr;
  int line = 0;
  uint64_t period_start_ms = 0;
  uint32_t written = 0;
  uint64_t dropped = 0;
};

// Neither is destroyed: a message may come from another static's destructor.
Mutex& log_mutex() {
  static Mutex* mutex = new Mutex;
  return *mutex;
}
std::array<Site, kSites>& sites() {
  static auto* table = new std::array<Site, kSites>;
  return *table;
}

std::atomic<int> level_max{static_cast<int>(LogLevel::info)};
std::atomic<bool> to_syslog{false};

// True when the message is to be written; `dropped` is then how many were left out before it.
bool admit(const LogSite& from, uint64_t now_ms, uint64_t& dropped) {
  const auto key =
      reinterpret_cast<uintptr_t>(from.file) / 16 + static_cast<size_t>(from.line) * 31;
  Site& site = sites()[key % kSites];
  if (site.file != from.file || site.line != from.line) {
    site = Site{from.file, from.line, now_ms, 0, 0};
  } else if (now_ms - site.period_start_ms >= kPeriodMs) {
    site.period_start_ms = now_ms;
    site.written = 0;
  }
  if (site.written >= kMessagesAPeriod) {
    ++site.dropped;
    return false;
  }
  ++site.written;
  dropped = site.dropped;
  site.dropped = 0;
  return true;
}

int priority(LogLevel level) {
  switch (level) {
    case LogLevel::error: return LOG_ERR;
    case LogLevel::warning: return LOG_WARNING;
    case LogLevel::info: return LOG_INFO;
    case LogLevel::debug: break;
  }
  return LOG_DEBUG;
}

// Standard error is the journal of systemd, which takes a message's priority from its beginning.
bool is_journal() {
  static const bool found = [] {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status;
    unsigned long long device = 0, inode = 0;
    return stream != nullptr && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
  }();
  return found;
}

const char* prefix(LogLevel level) {
  switch (level) {
    case LogLevel::error: return "scalefs: error: ";
    case LogLevel::warning: return "scalefs: warning: ";
    case LogLevel::info: return "scalefs: ";
    case LogLevel::debug: break;
  }
  return "scalefs: debug: ";
}

void write_message(LogLevel level, const std::string& text, const LogSite& site) {
  uint64_t dropped = 0;
  {
    MutexLock lock(log_mutex());
    if (!admit(site, monotonic_ms(), dropped)) return;
  }
  std::string line = prefix(level) + text;
  if (!to_syslog.load(std::memory_order_relaxed) && is_journal()) {
    line.insert(0, fmt::format("<{}>", priority(level)));  // sd-daemon(3)
  }
  if (dropped > 0) line += fmt::format(" ({} like it not shown)", dropped);
  if (to_syslog.load(std::memory_order_relaxed)) {
    ::syslog(priority(level), "%s", line.c_str());
    return;
  }
  line += '\n';
  // One write, so that lines of several threads do not mix. Nobody can be told when it fails.
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void log_message(LogLevel level, const std::string& text, LogSite site) noexcept {
  if (static_cast<int>(level) > level_max.load(std::memory_order_relaxed)) return;
  try {
    write_message(level, text, site);
  } catch (const std::bad_alloc&) {
    log_no_memory();
  }
}

void log_no_memory() noexcept {
  constexpr char kText[] = "scalefs: error: there was no memory for a message\n";
  if (to_syslog.load(std::memory_order_relaxed)) {
    ::syslog(LOG_ERR, "there was no memory for a message");
  } else {
    (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
  }
}

void set_log_level(LogLevel level) {
  level_max.store(static_cast<int>(level), std::memory_order_relaxed);
}

void log_to_syslog(const char* ident) {
  MutexLock lock(log_mutex());
  static std::string* name = new std::string;  // syslog keeps the pointer
  *name = ident;
  ::openlog(name->c_str(), LOG_PID, LOG_DAEMON);
  to_syslog.store(true, std::memory_order_relaxed);
}

}  // namespace scalefs
